"""Which weights of a run count as the best ones."""
