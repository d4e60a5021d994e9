"""A page of thumbnails, pair by pair, for a person to judge what looks alike."""

import base64
import io
from collections.abc import Sequence
from html import escape
from pathlib import Path

from PIL import Image

from dermtl.data.duplicates.near_duplicates import Copy
from dermtl.files.atomic import write_atomic
from dermtl.imaging.decode import read_image
from dermtl.kinds.record import Record

_MOST = 200
_THUMBNAIL_PX = 220
_HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Pictures that look alike</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
<style>body{font:16px/1.4 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
section{border-top:1px solid #d5d9de;padding:.8rem 0;display:grid;grid-template-columns:1fr 1fr;gap:1rem}
h2{grid-column:1/-1;font-size:1rem;margin:0}figure{margin:0}img{max-width:100%}figcaption{overflow-wrap:anywhere}</style>
<h1>Pictures that look alike</h1>
"""


def write_review(path: Path, records: Sequence[Record], copies: Sequence[Copy]) -> None:
    """Write an HTML page of the pairs, those to be reviewed first; at most 200 of them.

    Raises:
        ImageReadError: A picture cannot be read.
    """
    ordered = sorted(copies, key=lambda copy: (copy.is_sure, -copy.likeness))
    parts = [
        _HEAD,
        f"<p>{len(ordered)} pairs, {min(len(ordered), _MOST)} shown; review and features were not joined.</p>",
    ]
    for copy in ordered[:_MOST]:
        figures = "".join(_figure(records[index]) for index in (copy.one, copy.other))
        parts.append(f"<section><h2>{copy.reason}, likeness {copy.likeness:.3f}</h2>{figures}</section>\n")
    write_atomic(path, "".join(parts) + "</html>\n")


def _figure(record: Record) -> str:
    picture = Image.fromarray(read_image(record.path))
    picture.thumbnail((_THUMBNAIL_PX, _THUMBNAIL_PX))
    content = io.BytesIO()
    picture.save(content, "JPEG", quality=85)
    url = "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode()
    name = escape(record.image)
    side = f", {escape(record.split)}" if record.split else ""
    caption = f"{name}{side}<br>{escape(record.group)}"
    return f'<figure><img src="{url}" alt="{name}"><figcaption>{caption}</figcaption></figure>'
