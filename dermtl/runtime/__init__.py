"""Running an exported model with ONNX Runtime: NumPy and Pillow, no torch. Knows kinds, but no head."""
