"""Trackers of a run, its history and its curves. No torch."""
