"""Syntax of the rule that chooses a threshold; dermtl applies it on the validation records after training."""

RULE = r"^(youden|(sensitivity|specificity)>=(0?\.\d+|1(\.0*)?)|(cost|fixed):\d*\.?\d+)$"
