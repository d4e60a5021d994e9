"""How the rule of an operating point is written; dermtl chooses by it once training has ended."""

RULE = r"^(youden|(sensitivity|specificity)>=(0?\.\d+|1(\.0*)?)|(cost|fixed):\d*\.?\d+)$"
