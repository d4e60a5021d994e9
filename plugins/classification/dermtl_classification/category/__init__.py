"""The head ``classification``: one of K classes."""
