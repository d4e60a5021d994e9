"""Which files are pictures: by the ending of their name, and DICOM by its mark whatever the name."""

from pathlib import Path

from dermtl.imaging.dicom import is_dicom
from dermtl.imaging.formats import SUFFIXES

NOTES = frozenset({".csv", ".tsv", ".json", ".jsonl", ".txt", ".md", ".yaml", ".yml", ".html", ".parquet"})
"""Endings of what lies beside pictures by custom, and is not missed where it is passed over."""


def is_picture(path: Path) -> bool:
    """Whether a file is to be read as a picture; one without a picture's ending is asked for DICOM's mark."""
    return path.suffix.lower() in SUFFIXES or is_dicom(path)
