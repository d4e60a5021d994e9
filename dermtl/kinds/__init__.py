"""Kinds of annotations and outputs: how they are read, moved by augmentation, restored, written and drawn.

NumPy and Pillow only, so an exported model is used without torch and without the plugin that trained it.
"""

from dermtl.kinds.category import Category
from dermtl.kinds.circle import Circle
from dermtl.kinds.kind import Kind
from dermtl.kinds.mask import Mask
from dermtl.kinds.nodes import Nodes
from dermtl.kinds.number import Number
from dermtl.kinds.partial_mask import PartialMask
from dermtl.kinds.points import Points
from dermtl.kinds.record import Record
from dermtl.kinds.tags import Tags

__all__ = ["Category", "Circle", "Kind", "Mask", "Nodes", "Number", "PartialMask", "Points", "Record", "Tags"]
