"""One training over several processes: exchange of gradients and sums, and sharded weights."""
