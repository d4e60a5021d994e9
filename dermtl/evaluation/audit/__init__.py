"""Whom the figures are about: leakage from training, and the participant flow (STARD)."""
