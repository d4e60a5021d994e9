"""The object of an entry point. Standard library only, so that listing plugins is fast."""

from dataclasses import dataclass

API = (2, 0)
SERVED = (API,)  # the newest API of each major version; an older major version is served for at least a year


@dataclass(frozen=True)
class HeadSpec:
    """The parts of a head by name, not imported. The entry point in group ``dermtl.heads`` is an instance.

    Attributes:
        name: Name that an experiment writes as ``type``.
        summary: One line for lists.
        config: Dotted name of its :class:`~dermtl.api.HeadConfig`, ``package.module:Class``.
        head: Dotted name of its torch module, a :class:`~dermtl.api.Head`.
        metrics: Dotted name of its metrics, see :class:`~dermtl.api.Metrics`.
        api: (major, minor) of the plugin API that it was written for; served if :data:`SERVED` has this major version
            with this minor version or a newer one.
    """

    name: str
    summary: str
    config: str
    head: str
    metrics: str
    api: tuple[int, int]
