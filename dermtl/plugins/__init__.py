"""Discovery of plugins among installed distributions, and the contract of heads. Knows no head by name."""
