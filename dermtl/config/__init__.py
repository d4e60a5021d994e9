"""The experiment file: read with positions, overridden, checked."""
