"""The search for a smaller file, and the gate that it must pass."""
