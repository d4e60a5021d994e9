"""How good a model is: rows, metrics, intervals, report. The same for a run and for the exported file. No torch."""
