"""Benchmarks are scripts of the repository, not of an installed package."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
