"""Pixels and coordinates: safe decoding, affine maps, the letterbox. NumPy, Pillow, and one operator of ONNX Runtime.

Coordinates are continuous with the origin at the image's top-left *corner*, x right, y down: pixel (row i, column j)
covers [j, j+1) x [i, i+1), so resizing is pure scaling. Knows nothing of records, kinds or heads.
"""
