"""Phases, epochs, steps, the loss and validation."""
