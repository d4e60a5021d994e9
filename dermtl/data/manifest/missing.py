"""Cells that hold a word for "nothing known" (NA, nan, None, ...) read as empty ones, in every column alike.

How many there were is counted by column and word, so that it can be told.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping

from dermtl.config.missing import MISSING, folded
from dermtl.files.table import Cells

_SEPARATOR = "\0"  # between the cells of a row's text
_SHOWN = 8


class Emptied(Cells):
    """A row of which some cells held a word for "nothing known".

    Attributes:
        gone: The columns of those cells.
    """

    __slots__ = ("gone",)

    def __init__(self, columns: dict[str, int], line: str, gone: tuple[str, ...]) -> None:
        super().__init__(columns, line)
        self.gone = gone


class MissingWords:
    """The words, and where they stood.

    Args:
        words: Words for a value that is not known, in any case; blanks around a cell do not count.

    Attributes:
        counts: (column, word as written) to number of cells.
        firsts: (column, word as written) to the first row.
    """

    def __init__(self, words: Collection[str] = MISSING) -> None:
        self._folded = folded(words)
        self.counts: Counter[tuple[str, str]] = Counter()
        self.firsts: dict[tuple[str, str], str] = {}

    def emptied(self, rows: Iterable[tuple[str, Mapping[str, str]]]) -> Iterator[tuple[str, Mapping[str, str]]]:
        """The rows, each with its words taken out and counted as it passes."""
        for where, cells in rows:
            yield where, self._line(where, cells) if isinstance(cells, Cells) else self._mapping(where, cells)

    def __str__(self) -> str:
        """``label 'NA' 12, age 'nan' 3``."""
        told = [f"{column} {word!r} {num}" for (column, word), num in self.counts.most_common(_SHOWN)]
        more = len(self.counts) - len(told)
        return ", ".join(told) + (f" and {more} more columns or words" if more else "")

    def _line(self, where: str, cells: Cells) -> Cells:
        line = cells._line
        is_padded = " \0" in line or "\0 " in line or line[:1].isspace() or line[-1:].isspace()
        if not is_padded and self._folded.isdisjoint(line.casefold().split(_SEPARATOR)):
            return cells
        texts, gone = line.split(_SEPARATOR), []
        for column, index in cells._columns.items():
            if self._is_word(where, column, texts[index]):
                texts[index] = ""
                gone.append(column)
        return Emptied(cells._columns, _SEPARATOR.join(texts), tuple(gone)) if gone else cells

    def _mapping(self, where: str, cells: Mapping[str, str]) -> Mapping[str, str]:
        gone = [column for column, text in cells.items() if self._is_word(where, column, text)]
        return {**cells, **dict.fromkeys(gone, "")} if gone else cells

    def _is_word(self, where: str, column: str, text: str) -> bool:
        word = text.strip()
        if word.casefold() not in self._folded:
            return False
        self.counts[column, word] += 1
        self.firsts.setdefault((column, word), where)
        return True
