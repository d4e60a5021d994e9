"""From a table's cell to a node of the tree."""

from difflib import get_close_matches

from dermtl.errors import AnnotationError
from dermtl.taxonomy.tree import Taxonomy


def find_node(tree: Taxonomy, text: str, *, column: str, where: str) -> int:
    """The position of the node that a cell means.

    Args:
        tree: The tree.
        text: A node's path, one of its labels, or its name where that stands once.
        column: The cell's column, for the message.
        where: The cell's row, for the message.

    Raises:
        AnnotationError: The tree has no such node, or several.
    """
    found = tree.find(text)
    if len(found) == 1:
        return found[0]
    if found:
        paths = " or ".join(tree.nodes[node] for node in found)
        problem, hint = "stands at several places of the taxonomy", f"write {paths}, or give one of them this label"
    else:
        near = get_close_matches(text, tree.names, n=1)
        problem = "is not in the taxonomy"
        hint = f"did you mean {near[0]!r}?" if near else "add it to the tree, as a node or as a label of one"
    raise AnnotationError(f"column {column!r}: {text!r} {problem}", where=where, hint=hint)
