"""From records to batches: pictures, augmentation, order, caches."""
