"""Colours and strokes that are visible on skin, X-rays and fundus pictures."""

import importlib.util
import unicodedata
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

# Okabe and Ito's palette, distinguishable with the common colour vision deficiencies.
PALETTE = ((0, 158, 115), (230, 159, 0), (86, 180, 233), (213, 94, 0), (204, 121, 167), (240, 228, 66), (0, 114, 178))
_FONT = "DejaVuSans.ttf"
_SMALLEST_PX = 8  # letters that can still be read


def caption(image: Image.Image, lines: list[str]) -> Image.Image:
    """Write lines of text at the top left, below any written before, on a dark bar.

    A line that is too long for the picture is written smaller, and if that does not do, it ends in ``...``.
    """
    height = max(12, min(image.size) // 22)
    used = int(image.info.get("caption_px", 0))
    canvas = image.copy()
    pen = ImageDraw.Draw(canvas, "RGBA")
    bottom = used + len(lines) * (height + 4) + 4
    pen.rectangle((0, used, canvas.width, bottom), fill=(0, 0, 0, 170))
    for index, line in enumerate(lines):
        text, font = _fitting(line, height, canvas.width - 10)
        pen.text((5, used + 2 + index * (height + 4)), text, fill=(255, 255, 255), font=font)
    canvas.info["caption_px"] = bottom
    return canvas


def stroke_px(image: Image.Image) -> int:
    """Width of an outline in pixels for a picture of this size."""
    return max(2, min(image.size) // 150)


def _fitting(line: str, size: int, room_px: int) -> tuple[str, ImageFont.FreeTypeFont | ImageFont.ImageFont]:
    """A line and a font in which it is no wider than the room, in pixels."""

    def at(size: int) -> tuple[str, ImageFont.FreeTypeFont | ImageFont.ImageFont]:
        font = _font(size)
        return (line, font) if font else (_ascii(line), ImageFont.load_default(size=size))

    text, font = at(size)
    if (width := font.getlength(text)) > room_px:
        text, font = at(max(_SMALLEST_PX, int(size * room_px / width)))
    whole = text
    for kept in range(len(whole) - 1, 0, -1):
        if font.getlength(text) <= room_px:
            break
        text = f"{whole[:kept].rstrip()}..."
    return text, font


@lru_cache(maxsize=32)
def _font(size: int) -> ImageFont.FreeTypeFont | None:
    """DejaVu Sans, which holds Latin, Greek, Cyrillic and more: the system's or matplotlib's; None without either.

    Args:
        size: Height of the letters in pixels.
    """
    spec = importlib.util.find_spec("matplotlib")  # not imported: its folder holds the font
    folders = (spec and spec.submodule_search_locations) or ()
    inside = [str(Path(folder) / "mpl-data" / "fonts" / "ttf" / _FONT) for folder in folders]
    for name in (_FONT, *inside):
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return None


def _ascii(text: str) -> str:
    """Letters without their marks, and ``?`` for what is left: Pillow's own font has no others and draws boxes."""
    plain = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
    return "".join(letter for letter in plain if not unicodedata.combining(letter)).encode("ascii", "replace").decode()
