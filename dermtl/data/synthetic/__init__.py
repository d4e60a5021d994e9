"""Drawn lesions with every kind of truth, for first steps and tests."""
