"""A model file: what it says of itself, and the checks that must pass before it is run."""

from dermtl.runtime.bundle.metadata import INPUT, KEY, Bundle, blank, fits, read_bundle

__all__ = ["INPUT", "KEY", "Bundle", "blank", "fits", "read_bundle"]
