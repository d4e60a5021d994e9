"""From an experiment to a run: data, optimiser, processes, loop, selection of weights, resume."""
