"""Names of nodes and of training classes, and what they say of their place in the tree.

A node's name is its path below the root, ``malignant/melanocytic/melanoma``. A training class is named for the node
whose subtree it holds; one that holds only a part of a node's subtree adds ``::own`` or ``::rest``. So the tree above
the classes can be read off their names alone, as a deployed model does.
"""

ROOT = "root"
SEPARATOR = "/"
SUBSET_MARK = "::"


def lineage(name: str) -> tuple[str, ...]:
    """The names from the root to this one.

    >>> lineage("malignant/melanocytic::own")
    ('root', 'malignant', 'malignant/melanocytic', 'malignant/melanocytic::own')
    """
    if name == ROOT:
        return (ROOT,)
    node, part, suffix = name.partition(SUBSET_MARK)
    if node == ROOT:
        return (ROOT, name)
    steps = node.split(SEPARATOR)
    nodes = tuple(SEPARATOR.join(steps[: depth + 1]) for depth in range(len(steps)))
    return (ROOT, *nodes, *((node + part + suffix,) if part else ()))


def at_level(name: str, level: int) -> str | None:
    """The node of a level that a training class lies under, or None where it lies above all of them.

    A leaf above the level stands for itself, so that every level covers all leaves.

    Args:
        name: Name of a training class that does not reach across nodes of the level.
        level: 0 for the root, 1 for the nodes below it, and so on.

    >>> at_level("malignant/melanocytic/melanoma", 1)
    'malignant'
    """
    line = lineage(name)
    found = line[min(level, len(line) - 1)]
    return None if SUBSET_MARK in found else found


def last_part(name: str) -> str:
    """The name without its ancestors."""
    return name.rpartition(SEPARATOR)[2]


def is_descendant(name: str, node: str) -> bool:
    """Whether a class or node is this node, or lies below it.

    >>> is_descendant("malignant/melanocytic::own", "malignant"), is_descendant("malignant", "mal")
    (True, False)
    """
    return name == node or name.startswith((f"{node}{SEPARATOR}", f"{node}{SUBSET_MARK}"))
