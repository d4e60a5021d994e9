"""Where a network looks and where it errs: maps over pictures, a map of the features, the worst cases."""
