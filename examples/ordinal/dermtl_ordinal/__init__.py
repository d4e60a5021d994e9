"""The head ordinal for dermtl."""
