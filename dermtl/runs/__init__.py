"""Runs on disk: their folders, loading, folds, calibration and listing."""
