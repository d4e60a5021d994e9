"""Words for a missing value in tables; a cell with such a word counts as empty."""

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
"""Words of pandas, R, SQL and spreadsheets for a missing value, in upper or lower case."""


def folded(words: Collection[str]) -> frozenset[str]:
    """The words as :func:`is_missing` compares them."""
    return frozenset(word.strip().casefold() for word in words)


def is_missing(text: str, words: Collection[str] = MISSING) -> bool:
    """Whether a cell's text is one of the words, ignoring case and surrounding blanks."""
    return text.strip().casefold() in folded(words)
