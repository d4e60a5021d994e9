"""Which weights of a run are kept."""
