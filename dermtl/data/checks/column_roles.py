"""Which column means what: as an experiment's heads say, or by the usual names."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

from dermtl.config.experiment import Experiment
from dermtl.data.manifest.people import id_columns
from dermtl.kinds import Category, Circle, Kind, Mask, Number, Tags

_CIRCLE = ("cx", "cy", "r")


@dataclass(frozen=True)
class Roles:
    """The columns of one manifest.

    Attributes:
        image: Column with the picture's path.
        kinds: The truths, by head or, without an experiment, by column.
        groups: Columns whose equal values belong together.
        split: Column with train, val or test.
        is_declared: Whether an experiment says so; else columns are judged by what they hold.
    """

    image: str = "image"
    kinds: Mapping[str, Kind] | None = None
    groups: Sequence[str] = ()
    split: str | None = None
    is_declared: bool = False

    @classmethod
    def guess(cls, columns: Sequence[str], rows: Sequence[Mapping[str, str]] = ()) -> Self:
        """The usual names, where they occur. Classes and a mask's values are then judged by the majority."""
        kinds: dict[str, Kind] = {}
        if "label" in columns:
            kinds["label"] = Category((), "label")
        if "mask" in columns:
            kinds["mask"] = Mask((), "mask")
        if set(_CIRCLE) <= set(columns):
            kinds["circle"] = Circle()
        return cls("image", kinds, id_columns(rows), "split" if "split" in columns else None)

    @classmethod
    def declare(cls, experiment: Experiment, kinds: Mapping[str, Kind], rows: Sequence[Mapping[str, str]]) -> Self:
        """The roles that an experiment and its heads declare."""
        data = experiment.data
        groups = data.group if data.group is not None else id_columns(rows)
        return cls(data.image, kinds, groups, data.split.column, is_declared=True)

    def without(self, columns: Collection[str]) -> "Roles":
        """The roles that need none of these columns."""
        kinds = {name: kind for name, kind in (self.kinds or {}).items() if not set(columns) & set(_needs(kind))}
        groups = [column for column in self.groups if column not in columns]
        return replace(self, kinds=kinds, groups=groups, split=None if self.split in columns else self.split)

    @property
    def categories(self) -> list[Category]:
        """The truths that are classes."""
        return [kind for kind in self._all if isinstance(kind, Category)]

    @property
    def circles(self) -> list[Circle]:
        """The truths that are circles in numbers."""
        return [kind for kind in self._all if isinstance(kind, Circle) and not kind.mask]

    @property
    def masks(self) -> list[Mask]:
        """The truths that are masks; a circle that is derived from one counts as one."""
        named = {kind.column: kind for kind in self._all if isinstance(kind, Mask)}
        derived = (kind.mask for kind in self._all if isinstance(kind, Circle) and kind.mask)
        return [*named.values(), *(Mask(column=column) for column in derived if column not in named)]

    @property
    def numbers(self) -> list[str]:
        """Columns that hold numbers because a truth says so."""
        columns = [column for kind in self._all for column in _numbers(kind)]
        return list(dict.fromkeys(columns))

    @property
    def others(self) -> list[Kind]:
        """Truths that only their own kind can judge."""
        return [kind for kind in self._all if not isinstance(kind, Category | Circle | Mask | Number)]

    @property
    def columns(self) -> list[str]:
        """Every column that is needed."""
        split = [self.split] if self.split else []
        needed = [column for kind in self._all for column in _needs(kind)]
        return list(dict.fromkeys([self.image, *needed, *self.groups, *split]))

    @property
    def _all(self) -> list[Kind]:
        return list((self.kinds or {}).values())


def _numbers(kind: Kind) -> Sequence[str]:
    if isinstance(kind, Number):
        return kind.names
    if isinstance(kind, Tags) and not kind.column:
        return kind.labels
    return (kind.cx, kind.cy, kind.r) if isinstance(kind, Circle) and not kind.mask else ()


def _needs(kind: Kind) -> Sequence[str]:
    if isinstance(kind, Circle) and kind.mask:
        return (kind.mask,)
    return (kind.column,) if isinstance(kind, Category | Mask | Tags) and kind.column else _numbers(kind)
