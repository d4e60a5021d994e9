"""Decisions: the rule that sets a threshold, its fit on validation, and what it does on other records."""
