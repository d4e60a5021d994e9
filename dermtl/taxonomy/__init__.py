"""Trees of diseases: how they are read, cut into training classes, and how probabilities are summed up them.

Plain Python and NumPy: no torch, no pictures, no records.
"""
