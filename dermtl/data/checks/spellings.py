"""One class or one person written in several ways: case, blanks, joints, zeros, invisible characters. Opens no file."""

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from unicodedata import category, normalize

from dermtl.data.checks.finding import Finding, found
from dermtl.kinds import Record

_JOINTS = re.compile(r"[\s_-]+")
_NUMBER = re.compile(r"[+-]?\d+(\.\d*)?")
_TRUTHS = {"true": "1", "false": "0"}
_NUMBERED = re.compile(r"([^\W\d]*)[\s_-]*0*(\d+)(?:\.0*)?")  # P007, p-7, 7.0


def check_classes(records: Sequence[Record], column: str) -> Iterator[Finding]:
    """Classes that differ in spelling only: the rarer spelling is reported."""
    usual = _usual(records, column, class_key)
    for record in records:
        text = record.cells[column]
        if not text.strip():
            continue
        best = usual[class_key(text)]
        if text.strip() != best.strip():
            message = f"class {text.strip()!r} differs from {best.strip()!r} in spelling only"
            yield found("class-spelling", record.where, message, column=column, hint=f"did you mean {best.strip()!r}?")
        elif text != best:
            yield found("class-blanks", record.where, f"class {text!r} has blanks around it", column=column)


def check_ids(records: Sequence[Record], column: str) -> Iterator[Finding]:
    """Ids that may be one person's: one finding a spelling, at its first row."""
    keys = id_keys({record.cells[column].strip() for record in records} - {""})
    usual = _usual(records, column, lambda text: keys[text.strip()])
    told: set[str] = set()
    for record in records:
        text = record.cells[column].strip()
        if not text or text in told:
            continue
        best = usual[keys[text]].strip()
        if text != best:
            told.add(text)
            message = f"{text!r} may be {best!r} in another spelling"
            yield found("id-spelling", record.where, message, column=column)


def class_key(text: str) -> str:
    """What the spellings of one class have in common."""
    plain = _JOINTS.sub(" ", _visible(text).casefold())
    plain = _TRUTHS.get(plain, plain)
    return f"{float(plain):g}" if _NUMBER.fullmatch(plain) else plain


def id_keys(texts: set[str]) -> dict[str, str]:
    """Each id with what its spellings have in common: ``007``, ``7``, ``7.0`` and ``P007`` if all letters are P."""
    found: dict[str, tuple[str, str]] = {}
    for text in texts:
        plain = _visible(text).casefold()
        numbered = _NUMBERED.fullmatch(plain)
        found[text] = (numbered.group(1), numbered.group(2)) if numbered else ("", plain)
    letters = {prefix for prefix, _ in found.values() if prefix}
    alone = len(letters) == 1  # L1 and R1 are two; P1 and 1 may be one
    return {text: number if alone else f"{prefix}{number}" for text, (prefix, number) in found.items()}


def _visible(text: str) -> str:
    """Without characters that nobody sees, and with compatible letters alike."""
    return "".join(letter for letter in normalize("NFKC", text) if category(letter) != "Cf").strip()


def _usual(records: Sequence[Record], column: str, key: Callable[[str], str]) -> dict[str, str]:
    """The most frequent spelling of each key."""
    spellings: dict[str, Counter[str]] = defaultdict(Counter)
    for record in records:
        if (text := record.cells[column]).strip():
            spellings[key(text)][text] += 1
    return {name: max(nums, key=lambda text: (nums[text], text)) for name, nums in spellings.items()}
