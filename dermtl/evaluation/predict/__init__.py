"""Every record predicted once: the predictor, its predictions as columns, and how they are stored."""
