"""Trees of diseases: how they are read, cut into training classes, and how probabilities are summed up them.

Plain Python and NumPy: no torch, no pictures, no records. The names below are public: plugins may import them. The
modules are not.
"""

from dermtl.taxonomy.look_up import find_node
from dermtl.taxonomy.names import is_descendant
from dermtl.taxonomy.node_sums import level_sums, roll_up
from dermtl.taxonomy.partition import Partition, TrainingClass, disease_partition
from dermtl.taxonomy.read import read_taxonomy
from dermtl.taxonomy.tree import Taxonomy

__all__ = [
    "Partition",
    "Taxonomy",
    "TrainingClass",
    "disease_partition",
    "find_node",
    "is_descendant",
    "level_sums",
    "read_taxonomy",
    "roll_up",
]
