"""The head ``number``: plain numbers."""
