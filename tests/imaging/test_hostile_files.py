"""Files made to harm, and files that were cut: each is a named fault, at once."""

import io
import json
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from dermtl.errors import ImageReadError
from dermtl.imaging.decode import read_header, read_image, read_image_for, read_mask, read_size

HW = (50, 70)
NOISE = np.random.default_rng(0).integers(0, 256, (*HW, 3), dtype=np.uint8)
FORMS: dict[str, tuple[str, dict[str, object]]] = {
    "jpeg": ("JPEG", {}),
    "progressive": ("JPEG", {"progressive": True}),
    "phone": ("MPO", {"save_all": True, "append_images": [Image.fromarray(NOISE[::-1].copy())]}),
    "png": ("PNG", {}),
    "tiff": ("TIFF", {}),
    "deflated": ("TIFF", {"compression": "tiff_deflate"}),
    "bmp": ("BMP", {}),
    "webp": ("WEBP", {}),
    "lossless": ("WEBP", {"lossless": True}),
}


def stored(pixels: np.ndarray, form: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, form, **options)
    return buffer.getvalue()


@pytest.mark.filterwarnings("ignore::UserWarning")  # what Pillow says about damaged metadata
@pytest.mark.parametrize("name", FORMS)
def test_no_cut_file_is_accepted_with_missing_pixels(name: str) -> None:
    form, options = FORMS[name]
    data = stored(NOISE, form, **options)
    whole = read_image(data)
    needed = data.rindex(b"\xff\xd8\xff") if form == "MPO" else len(data)  # what follows the first frame is not read
    for end in np.unique(np.linspace(0, len(data) - 1, 200).astype(int)):
        for read in (read_image, lambda cut: read_image_for(cut, 4).pixels):
            try:
                pixels = read(data[:end])
            except ImageReadError:
                continue
            assert pixels.shape != whole.shape or np.array_equal(pixels, whole), f"cut at {end} of {len(data)}"
            assert pixels.shape == whole.shape or end > needed - 3, f"cut at {end} of {len(data)}"


def png(width: int, height: int, *chunks: tuple[bytes, bytes]) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    parts = [(b"IHDR", header), *chunks, (b"IDAT", zlib.compress(bytes(width * 2))), (b"IEND", b"")]
    packed = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in parts
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(packed)


def tiff_chain(num: int) -> bytes:
    """A TIFF of many tiny frames."""
    entries = [(256, 3, 1, 1), (257, 3, 1, 1), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1), (273, 4, 1, 8)]
    entries += [(277, 3, 1, 1), (278, 3, 1, 1), (279, 4, 1, 1)]
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    size = 2 + len(body) + 4
    parts = [b"II*\0" + struct.pack("<I", 16) + b"\0" * 8]
    for index in range(num):
        after = 16 + (index + 1) * size if index + 1 < num else 0
        parts.append(struct.pack("<H", len(entries)) + body + struct.pack("<I", after))
    return b"".join(parts)


def frames(form: str, num: int) -> bytes:
    buffer = io.BytesIO()
    pictures = [Image.fromarray(np.full((4, 4, 3), index * 40 % 256, np.uint8)) for index in range(num)]
    pictures[0].save(buffer, form, save_all=True, append_images=pictures[1:])
    return buffer.getvalue()


def bombs() -> dict[str, bytes]:
    million = io.BytesIO()
    Image.new("1", (10_000, 10_000)).save(million, "PNG")
    jpeg = bytearray(stored(NOISE, "JPEG"))
    at = jpeg.index(b"\xff\xc0") + 5
    jpeg[at : at + 4] = struct.pack(">HH", 65_500, 65_500)
    bmp = bytearray(stored(NOISE, "BMP"))
    bmp[18:26] = struct.pack("<ii", 40_000, 40_000)
    text = zlib.compress(bytes(200_000_000), 9)
    return {
        "100 megapixels": million.getvalue(),
        "40k x 40k header": png(40_000, 40_000),
        "a strip": png(80_000_000, 1),
        "jpeg header": bytes(jpeg),
        "bmp header": bytes(bmp),
        "gif": frames("GIF", 50),
        "apng": frames("PNG", 300),
        "webp frames": frames("WEBP", 300),
        "tiff frames": tiff_chain(100_000),
        "text chunk": png(10, 10, (b"zTXt", b"Comment\0\0" + text)),
        "international text": png(10, 10, (b"iTXt", b"Comment\0\1\0\0\0" + text)),
        "colour profile": png(10, 10, (b"iCCP", b"icc\0\0" + text)),
    }


SCRIPT = """
import json, resource, sys, time
from pathlib import Path
from dermtl.errors import ImageReadError
from dermtl.imaging.decode import read_image, read_size
folder = Path(sys.argv[1])
read_image(folder / "harmless.png")
peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
for path in sorted(folder.glob("*.bomb")):
    before, outcome, seconds = peak(), "accepted", []
    for _ in range(3):
        start = time.process_time()
        try:
            read_image(path)
        except ImageReadError as error:
            outcome = error.message
        seconds.append(time.process_time() - start)
    print(json.dumps([path.stem, outcome, min(seconds), peak() - before]))
"""


def test_bombs_are_refused_at_once_and_in_little_memory(tmp_path: Path) -> None:
    (tmp_path / "harmless.png").write_bytes(stored(NOISE, "PNG"))
    for name, data in bombs().items():
        (tmp_path / f"{name}.bomb").write_bytes(data)
    command = [sys.executable, "-c", SCRIPT, str(tmp_path)]
    result = subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    outcomes = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(outcomes) == len(bombs())
    for name, outcome, cpu_s, extra_mib in outcomes:
        assert outcome != "accepted" or name == "colour profile", name
        assert cpu_s < 0.1, (name, cpu_s)
        assert extra_mib < 50, (name, extra_mib)


def test_a_sequence_is_known_by_its_header() -> None:
    assert read_header(tiff_chain(3)).is_sequence
    assert not read_header(tiff_chain(1)).is_sequence
    with pytest.raises(ImageReadError, match="several frames"):
        read_image_for(frames("WEBP", 2), 4)


def test_the_header_of_a_png_decodes_no_pixel_unless_metadata_follow() -> None:
    whole = stored(NOISE, "PNG")
    assert read_size(whole[: len(whole) // 2]) == HW
    exif = Image.Exif()
    exif[0x0112] = 6
    body = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body)) + b"eXIf" + body + struct.pack(">I", zlib.crc32(b"eXIf" + body))
    late = whole[:-12] + chunk + whole[-12:]
    assert read_size(late) == read_image(late).shape[:2] == HW[::-1]


SAMPLES = {name: stored(NOISE[:20, :30], form, **options) for name, (form, options) in FORMS.items()}
FUZZ_S = 54.0  # over all formats
EXTREMES = [b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\xff\xff\xff\x7f", b"\0\1", b"\1\0", b"\x80"]


def read_every_way(data: bytes) -> None:
    """Only the named fault may be raised."""
    for read in (read_image, lambda data: read_image_for(data, 4), read_mask, read_size, read_header):
        try:
            read(data)
        except ImageReadError as error:
            assert str(error)  # noqa: PT017
        except Exception as error:
            raise AssertionError(f"{type(error).__name__} for {data.hex()}") from error


def spoil(whole: bytes, rng: np.random.Generator) -> bytes:
    """A few bytes overwritten, a piece taken out, moved, doubled or cut off, most often near the front."""
    data = bytearray(whole)
    for _ in range(rng.integers(1, 5)):
        reach = len(data) if rng.random() < 0.5 else min(len(data), 200)
        at, to = (int(place) for place in rng.integers(0, max(reach, 1), 2))
        piece = data[at : at + int(rng.integers(1, 40))]
        match rng.integers(6):
            case 0:
                data[at : at + 4] = rng.bytes(int(rng.integers(1, 5)))
            case 1:
                value = EXTREMES[rng.integers(len(EXTREMES))]
                data[at : at + len(value)] = value
            case 2:
                del data[at : at + len(piece)]
            case 3:
                data[to:to] = piece
            case 4:
                data[to : to + len(piece)] = piece
            case 5:
                del data[at + int(rng.integers(0, len(data) + 1)) :]
    return bytes(data)


@pytest.mark.release
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", FORMS)
def test_whatever_the_bytes_for_a_minute_only_the_named_fault_is_raised(name: str) -> None:
    rng, end = np.random.default_rng(len(name)), time.monotonic() + FUZZ_S / len(FORMS)
    while time.monotonic() < end:
        read_every_way(spoil(SAMPLES[name], rng))


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sample=st.sampled_from(list(SAMPLES.values())), seed=st.integers(0, 2**32))
def test_whatever_the_bytes_only_the_named_fault_is_raised(sample: bytes, seed: int) -> None:
    read_every_way(spoil(sample, np.random.default_rng(seed)))


@pytest.mark.filterwarnings("ignore")
@given(st.binary(max_size=300))
@settings(max_examples=200, deadline=None)
def test_any_bytes(data: bytes) -> None:
    with pytest.raises(ImageReadError):
        read_image(data)
