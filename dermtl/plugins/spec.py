"""The entry point's object. Standard library only: listing plugins must cost nothing."""

from dataclasses import dataclass

API = (2, 0)
SERVED = (API,)  # the newest API of each major that heads may ask for; a major before the last stays for a year or more


@dataclass(frozen=True)
class HeadSpec:
    """A head, named but not imported. The entry point in group ``dermtl.heads`` is an instance.

    Attributes:
        name: What an experiment writes as ``type``.
        summary: One line for lists.
        config: Dotted name of its :class:`~dermtl.api.HeadConfig`, ``package.module:Class``.
        head: Dotted name of its torch module, a :class:`~dermtl.api.Head`.
        metrics: Dotted name of its metrics, see :class:`~dermtl.api.Metrics`.
        api: (major, minor) of the plugin API it was written for; served where :data:`SERVED` has its
            major, with this minor or a newer one.
    """

    name: str
    summary: str
    config: str
    head: str
    metrics: str
    api: tuple[int, int]
