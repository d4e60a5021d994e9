"""The experiment file: read with positions, checked, overridden. Knows no plugin and no data."""
