"""Which layers learn and how fast: groups, freezing, learning rates, weight decay, optimiser, moving average."""
