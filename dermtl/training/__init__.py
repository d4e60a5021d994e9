"""From an experiment to a run: augmentation, batches, stages, the loop, the run's folder."""
