"""Colours and strokes that stay readable on skin, on X-rays and on fundus pictures."""

from PIL import Image, ImageDraw, ImageFont

# Okabe and Ito's palette, distinguishable with the common colour vision deficiencies.
PALETTE = ((0, 158, 115), (230, 159, 0), (86, 180, 233), (213, 94, 0), (204, 121, 167), (240, 228, 66), (0, 114, 178))


def caption(image: Image.Image, lines: list[str]) -> Image.Image:
    """Write lines of text at the top left, below any written before, on a dark bar."""
    height = max(12, min(image.size) // 22)
    used = int(image.info.get("caption_px", 0))
    canvas = image.copy()
    pen = ImageDraw.Draw(canvas, "RGBA")
    font = ImageFont.load_default(size=height)
    bottom = used + len(lines) * (height + 4) + 4
    pen.rectangle((0, used, canvas.width, bottom), fill=(0, 0, 0, 170))
    for index, line in enumerate(lines):
        pen.text((5, used + 2 + index * (height + 4)), line, fill=(255, 255, 255), font=font)
    canvas.info["caption_px"] = bottom
    return canvas


def stroke_px(image: Image.Image) -> int:
    """Width of an outline in pixels for a picture of this size."""
    return max(2, min(image.size) // 150)
