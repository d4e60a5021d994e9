"""The head ``tags``: independent labels."""
