"""Clinicians beside a model, on the same pictures."""
