"""From the name in a model's metadata to the kind."""

from collections.abc import Mapping
from typing import Any

from dermtl.errors import BundleError
from dermtl.kinds.category import Category
from dermtl.kinds.circle import Circle
from dermtl.kinds.kind import Kind
from dermtl.kinds.mask import Mask
from dermtl.kinds.nodes import Nodes
from dermtl.kinds.number import Number
from dermtl.kinds.points import Points
from dermtl.kinds.tags import Tags

KINDS: Mapping[str, type[Kind]] = {kind.kind: kind for kind in (Category, Tags, Circle, Mask, Number, Nodes, Points)}


def kind_from_metadata(metadata: Mapping[str, Any]) -> Kind:
    """Rebuild a kind from a model's metadata.

    Raises:
        BundleError: The kind is unknown to this version, or its values do not fit.
    """
    name = metadata.get("kind")
    if not isinstance(name, str) or name not in KINDS:
        raise BundleError(f"unknown kind {name!r}; known: {', '.join(KINDS)}", hint="upgrade dermtl to read this model")
    try:
        return KINDS[name].from_metadata(metadata)
    except (TypeError, ValueError) as error:
        raise BundleError(f"the metadata of kind {name!r} do not fit: {error}") from error
