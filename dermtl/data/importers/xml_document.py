"""XML files of a source, without document types: an entity could grow without bound or read other files."""

from pathlib import Path
from xml.etree import ElementTree

from dermtl.errors import ManifestError


def read_xml(path: Path) -> ElementTree.Element:
    """The root element of an XML file.

    Raises:
        ManifestError: The file cannot be read, is no XML, or declares a document type.
    """
    try:
        data = path.read_bytes()
        if b"<!DOCTYPE" in data or b"<!ENTITY" in data:
            raise ManifestError("declares a document type, which is not read", where=str(path))
        return ElementTree.fromstring(data)
    except (OSError, ElementTree.ParseError) as error:
        raise ManifestError(f"is not readable XML: {error}", where=str(path)) from error


def text_of(element: ElementTree.Element, path: str) -> str:
    """The text of an element below another, without surrounding blanks; empty if there is none."""
    return (element.findtext(path) or "").strip()
