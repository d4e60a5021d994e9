"""What is optimised and how fast: parameter groups, optimiser, schedule, weight averages."""
