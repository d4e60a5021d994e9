"""The statistics behind an evaluation: one concept a file, NumPy and the standard library only.

Scores, truths, weights and groups go in, numbers come out; nothing here knows heads, records or files. NaN means "not
estimable", never zero. Weights are whole numbers, how often each row counts, so that a bootstrap need not copy rows.
"""
