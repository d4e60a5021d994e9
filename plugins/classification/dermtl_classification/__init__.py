"""Heads that classify: one of K classes, and independent tags. Importing this imports nothing else."""
