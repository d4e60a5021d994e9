"""Training recipes compared out of fold: the shipped experiments against what else one would write or install."""
