"""What a continuation needs, and what may differ between a run and its continuation."""
