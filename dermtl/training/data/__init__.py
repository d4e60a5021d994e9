"""From records to batches: examples, augmentation, order, loading, caches."""
