"""Atomic writes, locks, tables, bounded archives, cores and prefetching threads. Knows no picture."""
