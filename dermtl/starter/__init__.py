"""From pictures to a first experiment: which heads a table can train, and the file that says so. No torch."""
