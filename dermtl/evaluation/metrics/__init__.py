"""A head's metrics with their intervals, and whether its probabilities are calibrated."""
