"""Words that tables write where nothing is known, and that count as an empty cell."""

from collections.abc import Collection

MISSING = (
    "NA",
    "N/A",
    "<NA>",
    "nan",
    "None",
    "null",
    "-",
    "--",
    "?",
    "#N/A",
    "#NA",
    "#NULL!",
    "#DIV/0!",
    "#VALUE!",
    "#REF!",
    "#NAME?",
    "#NUM!",
)
"""What pandas, R, SQL and spreadsheets write for a missing value, in any case."""


def folded(words: Collection[str]) -> frozenset[str]:
    """The words as :func:`is_missing` compares them."""
    return frozenset(word.strip().casefold() for word in words)


def is_missing(text: str, words: Collection[str] = MISSING) -> bool:
    """Whether a cell's text is one of the words, in any case and with blanks around it or not."""
    return text.strip().casefold() in folded(words)
