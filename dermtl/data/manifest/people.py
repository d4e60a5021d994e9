"""Columns that tell whose picture it is: known by their names, and by values that repeat like those of people.

``patient``, ``PatientID``, ``pat_nr`` and ``subject`` name people; ``lesion``, ``case``, ``eye`` or ``exam`` name
something of one person, and only where their values look like ids: an eye may be left or right, a lesion a diagnosis.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence

COLUMNS = ("patient_id", "lesion_id", "group")
_WORD = re.compile(r"[^\W\d_]+")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")
_ID = frozenset({"id", "ids", "no", "nr", "num", "number", "code", "key", "uid", "name", "identifier", "hash"})
_PEOPLE = frozenset(
    {"patient", "patients", "pat", "pid", "ptid", "patientid", "subject", "subj", "subjectid", "person"}
    | {"personid", "participant", "proband", "donor", "mrn", "individual", "patienten", "paciente", "paziente"}
)
_PARTS = frozenset(
    {"lesion", "lesionid", "case", "caseid", "eye", "eyeid", "nodule", "tumor", "tumour", "mole", "wound", "study"}
    | {"studyid", "exam", "examination", "examid", "accession", "specimen", "biopsy", "series", "group", "groupid"}
    | {"family", "encounter"}
)
_FILES = frozenset({"image", "images", "img", "file", "filename", "picture", "photo", "path", "isic"})
_FEWEST = 3  # two values are an answer, such as left and right or case and control
_DIGITS = 0.8  # share of the values of a part that hold a digit


def id_columns(rows: Sequence[Mapping[str, str]]) -> list[str]:
    """The columns whose equal values are kept together where an experiment names none.

    Those called patient_id, lesion_id and group; then those that look like people; then, where none of either is there,
    those that look like lesions, cases or examinations.

    Args:
        rows: All rows of one table.
    """
    if not rows:
        return []
    columns = list(rows[0])
    fixed = [column for column in COLUMNS if column in columns]
    people = [column for column in columns if column not in fixed and names_people(column) and _repeats(rows, column)]
    if fixed or people:
        return [*fixed, *people]
    return [column for column in columns if _names_part(column) and _repeats(rows, column, is_part=True)]


def names_people(column: str) -> bool:
    """Whether a column is called as people are numbered or named."""
    words = _words(column)
    return bool(words & _PEOPLE) and words <= _PEOPLE | _ID


def _names_part(column: str) -> bool:
    words = _words(column)
    return bool(words & _PARTS) and words <= _PARTS | _PEOPLE | _ID


def _names_id(column: str) -> bool:
    words = _words(column)
    return _names_part(column) or (bool(words & _ID) and not words & _FILES)


def _words(column: str) -> frozenset[str]:
    """``PatientID``, ``patient_id`` and ``patient ID`` are patient and id."""
    return frozenset(word.casefold() for word in _WORD.findall(_HUMP.sub(" ", column)))


def _repeats(rows: Sequence[Mapping[str, str]], column: str, *, is_part: bool = False) -> bool:
    """Whether the values are as many and as often repeated as ids are."""
    nums = Counter(text for row in rows if (text := row[column].strip()))
    if len(nums) < _FEWEST or len(nums) == nums.total():
        return False
    if not is_part:
        return True
    # Lesions counted anew for every person (1, 2, 3) would join everybody.
    digits = sum(any(letter.isdigit() for letter in text) for text in nums)
    return digits >= _DIGITS * len(nums) and len(nums) * 10 >= nums.total()


def unused_columns(rows: Sequence[Mapping[str, str]], used: Sequence[str]) -> dict[str, int]:
    """Columns that look like people, or where nothing is grouped like ids of anything, and are not used.

    Args:
        rows: All rows of one table.
        used: The columns that pictures are grouped by.

    Returns:
        Column to its number of different values.
    """
    if not rows:
        return {}
    looks = [column for column in rows[0] if names_people(column) or (not used and _names_id(column))]
    unused = [c for c in looks if c not in used and _repeats(rows, c, is_part=not names_people(c))]
    return {column: count_values(rows, column) for column in unused}


def count_values(rows: Sequence[Mapping[str, str]], column: str) -> int:
    """How many different values there are, empty cells apart."""
    return len({text for row in rows if (text := row[column].strip())})
