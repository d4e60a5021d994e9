"""The head ``circle``: a centre and a radius."""
