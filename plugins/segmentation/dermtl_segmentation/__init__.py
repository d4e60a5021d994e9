"""A head that outlines: which pixels belong to which class. Importing this imports nothing else."""
