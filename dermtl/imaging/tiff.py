"""TIFF of more than 8 bits a sample, of which Pillow misreads or refuses some: in planes, and where white is 0.

The file's own strips or tiles are decoded by Pillow through another directory, appended to the file's bytes.
"""

import io
import struct
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from dermtl.arrays import Array

_WIDTH, _LENGTH, _BITS, _COMPRESSION, _PHOTOMETRIC, _ORIENTATION = 256, 257, 258, 259, 262, 274
_SAMPLES, _ROWS_A_STRIP, _PLANAR, _PREDICTOR, _TILE_WIDTH, _TILE_LENGTH = 277, 278, 284, 317, 322, 323
_STRIPS = 273
_BLOCKS = {_STRIPS: 279, 324: 325}  # tag of the offsets of strips and of tiles: tag of their sizes
_SHARED = (_WIDTH, _LENGTH, _COMPRESSION, _ORIENTATION, _ROWS_A_STRIP, _PREDICTOR, _TILE_WIDTH, _TILE_LENGTH)
_LONG = 4  # unsigned, 32 bits
_APART, _RGB, _WHITE_IS_ZERO, _BLACK_IS_ZERO = 2, 2, 0, 1
_HEADS = {b"II*\0": "<", b"MM\0*": ">"}


def bits_of(tags: ImageFileDirectory_v2) -> int:
    """Bits of the widest sample."""
    bits = tags.get(_BITS, (1,))
    return int(max(bits if isinstance(bits, tuple) else (bits,)))


def is_white_zero(tags: ImageFileDirectory_v2) -> bool:
    """Whether the value 0 is white."""
    return bool(tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO)


def is_in_planes(tags: ImageFileDirectory_v2) -> bool:
    """Whether samples of more than 8 bits are stored channel by channel."""
    return bool(tags.get(_PLANAR) == _APART and tags.get(_SAMPLES, 1) > 1 and bits_of(tags) > 8)


def open_black_is_zero(source: Path | str | bytes) -> Image.Image | None:
    """A grey TIFF of 16 bits whose white is 0, opened as if it were black; None for any other file."""
    tags = _directory(source)
    if tags is None or not is_white_zero(tags) or bits_of(tags) != 16 or tags.get(_SAMPLES, 1) != 1:
        return None
    blocks = {tag: tags[tag] for offsets, sizes in _BLOCKS.items() for tag in (offsets, sizes) if tag in tags}
    return _through(_bytes(source), tags, blocks)


def read_planes(source: Path | str | bytes) -> Array:
    """The first three channels of an RGB file of 16 bits in planes.

    Returns:
        uint16 [H, W, 3], upright.

    Raises:
        ValueError: The file is no RGB TIFF of 16 bits in planes.
    """
    tags, data = _directory(source), _bytes(source)
    if tags is None or tags.get(_PHOTOMETRIC) != _RGB or bits_of(tags) != 16:
        raise ValueError("planes of TIFF are read as RGB of 16 bits")
    lists = {tag: tuple(tags[tag]) for pair in _BLOCKS.items() for tag in pair if tag in tags}
    num = int(tags[_SAMPLES])
    if {len(values) for values in lists.values()} == {1} and tags.get(_COMPRESSION, 1) == 1:
        # Some writers state one strip for all planes.
        size, (start,) = 2 * int(tags[_WIDTH]) * int(tags[_LENGTH]), lists[_STRIPS]
        lists = {_STRIPS: tuple(start + size * plane for plane in range(num)), _BLOCKS[_STRIPS]: (size,) * num}
    if any(len(values) % num or not values for values in lists.values()):
        raise ValueError("the planes of a TIFF have unlike numbers of strips")
    planes = []
    for plane in range(3):
        each = {tag: len(values) // num for tag, values in lists.items()}
        blocks = {tag: values[plane * each[tag] : (plane + 1) * each[tag]] for tag, values in lists.items()}
        planes.append(np.asarray(_through(data, tags, blocks)).astype(np.uint16))
    return np.stack(planes, axis=-1)


def _directory(source: Path | str | bytes) -> ImageFileDirectory_v2 | None:
    """The first directory of a classic TIFF, or None."""
    with io.BytesIO(source) if isinstance(source, bytes) else Path(source).open("rb") as file:
        head = file.read(8)
        if head[:4] not in _HEADS:
            return None
        tags = ImageFileDirectory_v2(head)
        file.seek(tags.next)
        tags.load(file)
        return tags


def _bytes(source: Path | str | bytes) -> bytes:
    return source if isinstance(source, bytes) else Path(source).read_bytes()


def _through(data: bytes, tags: ImageFileDirectory_v2, blocks: dict[int, tuple[int, ...]]) -> Image.Image:
    """A file's blocks as one grey picture of 16 bits."""
    shared = {tag: tags[tag] for tag in _SHARED if tag in tags}
    grey = {_BITS: 16, _SAMPLES: 1, _PHOTOMETRIC: _BLACK_IS_ZERO}
    entries = {
        tag: value if isinstance(value, tuple) else (value,) for tag, value in {**shared, **grey, **blocks}.items()
    }
    at = len(data) + len(data) % 2
    pack = _HEADS[data[:4]]
    directory = _packed(entries, at, pack)
    content = data[:4] + struct.pack(f"{pack}I", at) + data[8:].ljust(at - 8, b"\0") + directory
    return Image.open(io.BytesIO(content), formats=("TIFF",))


def _packed(entries: dict[int, tuple[int, ...]], at: int, order: str) -> bytes:
    """A directory of unsigned 32-bit values. Source: TIFF 6.0, section 2."""
    lists = at + 2 + 12 * len(entries) + 4
    head, tail = struct.pack(f"{order}H", len(entries)), b""
    for tag, values in sorted(entries.items()):
        held = struct.pack(f"{order}{len(values)}I", *values)
        if len(values) > 1:
            held, tail = struct.pack(f"{order}I", lists + len(tail)), tail + held
        head += struct.pack(f"{order}HHI", tag, _LONG, len(values)) + held
    return head + struct.pack(f"{order}I", 0) + tail
