"""Heads that regress: a circle, and plain numbers. Importing this imports nothing else."""
