"""What is wrong with a data set, all of it at once. Changes nothing, and never raises on bad data."""
