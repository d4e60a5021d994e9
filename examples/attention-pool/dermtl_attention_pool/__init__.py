"""The head attention_pool for dermtl."""
