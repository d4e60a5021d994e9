"""What a run tells while it trains and afterwards: trackers, its history, its curves, runs side by side. No torch."""
