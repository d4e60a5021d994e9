"""What a head predicts. A kind owns geometry and form: reading, carrying along, restoring, writing, drawing.

NumPy and Pillow only, so a deployed model is understood without the plugin, or the torch, that trained it.
"""

from dermtl.kinds.category import Category
from dermtl.kinds.circle import Circle
from dermtl.kinds.kind import Kind
from dermtl.kinds.mask import Mask
from dermtl.kinds.nodes import Nodes
from dermtl.kinds.number import Number
from dermtl.kinds.points import Points
from dermtl.kinds.record import Record
from dermtl.kinds.tags import Tags

__all__ = ["Category", "Circle", "Kind", "Mask", "Nodes", "Number", "Points", "Record", "Tags"]
