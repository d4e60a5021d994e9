"""The head landmarks for dermtl."""
