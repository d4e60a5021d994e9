"""A sheet of training pictures as the network is fed them: augmented, in its own frame, with their targets drawn."""

import io
from pathlib import Path

from PIL import Image

from dermtl.files.atomic import write_atomic
from dermtl.statistics.spread import spread
from dermtl.training.data.dataset import Examples

_COLUMNS = 4
_GAP_PX = 4
_SIDE_PX = 336


def write_sheet(path: Path, examples: Examples, *, num: int = 16, epoch: int = 0) -> None:
    """Write a JPEG with some pictures of one epoch, from the first record to the last at even distances.

    Args:
        path: The file to write.
        examples: Training examples.
        num: Largest number of pictures.
        epoch: Epoch, from 0, whose augmentation is shown.

    Raises:
        DermtlError: A picture or an annotation cannot be read, or the file cannot be written.
    """
    content = io.BytesIO()
    draw_sheet(examples, num=num, epoch=epoch).save(content, "JPEG", quality=90)
    write_atomic(path, content.getvalue())


def draw_sheet(examples: Examples, *, num: int = 16, epoch: int = 0) -> Image.Image:
    """The sheet of :func:`write_sheet` as a picture, RGB."""
    pictures = [_draw(examples, epoch, index) for index in spread(range(len(examples)), num)]
    side = pictures[0].width + _GAP_PX
    columns = min(_COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    sheet = Image.new("RGB", (columns * side - _GAP_PX, rows * side - _GAP_PX), (255, 255, 255))
    for number, picture in enumerate(pictures):
        sheet.paste(picture, (number % columns * side, number // columns * side))
    return sheet


def _draw(examples: Examples, epoch: int, index: int) -> Image.Image:
    """One picture with its targets, enlarged to a size at which text can be read."""
    example = examples[epoch, index]
    drawn = Image.fromarray(example.image)
    targets = [(examples.kinds[name], target) for name, target in example.targets.items()]
    for kind, target in targets:
        drawn = kind.draw(drawn, kind.perfect_value(target)) if kind.spatial else drawn
    drawn = drawn.resize((max(_SIDE_PX, drawn.width),) * 2, Image.Resampling.BICUBIC)
    for kind, target in targets:  # text last, which enlarging would blur
        drawn = drawn if kind.spatial else kind.draw(drawn, kind.perfect_value(target))
    return drawn
