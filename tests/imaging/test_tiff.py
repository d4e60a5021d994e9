"""TIFF of more than 8 bits, as tifffile writes it."""

import io
import struct
from typing import Any

import numpy as np
import pytest

from dermtl.errors import ImageReadError
from dermtl.imaging.decode import read_header, read_image, read_mask

tifffile = pytest.importorskip("tifffile")

GREY = np.linspace(0, 1, 40 * 56).reshape(40, 56)
COLOURS = np.stack([GREY, 1 - GREY, GREY**2], axis=-1)
COMPRESSIONS = [{}, {"compression": "deflate"}, {"compression": "deflate", "predictor": 2}]


def stored(values: np.ndarray, **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, **options)
    return stream.getvalue()


def levels(shares: np.ndarray) -> np.ndarray:
    grey = np.rint(shares * 255).astype(int)
    return np.repeat(grey[..., None], 3, axis=2) if grey.ndim == 2 else grey


@pytest.mark.parametrize("options", COMPRESSIONS)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_white_is_zero(depth: type, order: str, options: dict[str, Any]) -> None:
    values = np.rint(GREY * np.iinfo(depth).max).astype(depth)
    for photometric, shares in (("minisblack", GREY), ("miniswhite", 1 - GREY)):
        data = stored(values, photometric=photometric, byteorder=order, **options)
        assert np.abs(read_image(data) - levels(shares)).max() == 0, photometric


@pytest.mark.parametrize("options", COMPRESSIONS)
@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("blocks", [{"rowsperstrip": 16}, {"tile": (32, 32)}])
@pytest.mark.parametrize("num_channels", [3, 4])
def test_channels_of_16_bits_in_planes(
    num_channels: int, blocks: dict[str, Any], order: str, options: dict[str, Any]
) -> None:
    values = np.rint(COLOURS * 65535).astype(np.uint16)
    more: dict[str, Any] = {}
    if num_channels == 4:
        values, more = np.concatenate([values, values[..., :1]], axis=-1), {"extrasamples": ["unassalpha"]}
    planes = np.moveaxis(values, -1, 0)
    data = stored(planes, photometric="rgb", planarconfig="separate", byteorder=order, **blocks, **options, **more)
    assert np.array_equal(tifffile.imread(io.BytesIO(data)), planes)
    assert read_header(data).mode == "RGB"
    assert np.abs(read_image(data) - levels(COLOURS)).max() == 0


def test_planes_are_turned_by_exif_orientation() -> None:
    planes = np.moveaxis(np.rint(COLOURS * 65535).astype(np.uint16), -1, 0)
    data = stored(planes, photometric="rgb", planarconfig="separate", extratags=[(274, "H", 1, 6, True)])
    assert read_header(data).size_hw == (56, 40)
    assert np.abs(read_image(data) - np.rot90(levels(COLOURS), -1)).max() == 0


def test_twelve_bits_are_scaled_by_what_the_file_says() -> None:
    values = np.rint(GREY * 4095).astype(np.uint16)
    assert np.abs(read_image(stored(values, bitspersample=12)) - levels(GREY)).max() <= 1


def test_a_mask_whose_white_is_zero() -> None:
    shape = GREY > 0.5
    data = stored(np.where(shape, 0, 65535).astype(np.uint16), photometric="miniswhite")
    assert np.array_equal(read_mask(data), shape * np.uint8(255))


def test_cut_planes_are_damage() -> None:
    planes = np.moveaxis(np.rint(COLOURS * 65535).astype(np.uint16), -1, 0)
    data = stored(planes, photometric="rgb", planarconfig="separate")
    with pytest.raises(ImageReadError):
        read_image(data[: len(data) // 2])


def test_planes_under_one_strip() -> None:
    """As some writers store them: one offset, the planes one after the other; each value by hand."""
    planes = np.arange(3 * 4 * 5, dtype="<u2").reshape(3, 4, 5) * 1000
    entries = [(256, 3, 1, 5), (257, 3, 1, 4), (258, 3, 3, 134), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 140)]
    entries += [(277, 3, 1, 3), (278, 3, 1, 4), (279, 4, 1, 120)]
    head = b"II*\0\x08\0\0\0" + (len(entries) + 1).to_bytes(2, "little")
    table = b"".join(struct.pack("<HHII", *entry) for entry in [*entries, (284, 3, 1, 2)]) + bytes(4)
    assert len(head + table) == 134
    data = head + table + struct.pack("<3H", 16, 16, 16) + planes.tobytes()
    assert np.array_equal(read_image(data), np.rint(np.moveaxis(planes, 0, -1) * (255 / 65535)))
