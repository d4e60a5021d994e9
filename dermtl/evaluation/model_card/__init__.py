"""The model card, and the texts of it that only people know."""
