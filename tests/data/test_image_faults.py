"""The checks tell faults of pictures apart by their reason, never by the words of a message."""

import io
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermtl.data.checks import image, mask
from dermtl.errors import ImageFault, ImageReadError
from dermtl.imaging.decode import read_image, read_mask


def stored(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


GREY = Image.new("L", (20, 30), 9)
NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 30, 3), np.uint8))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (stored(Image.new("1", (14_000, 14_000))), ImageFault.TOO_LARGE),
        (stored(Image.new("1", (70_000, 1))), ImageFault.TOO_LARGE),
        (stored(GREY, "TIFF", save_all=True, append_images=[GREY]), ImageFault.SEVERAL_FRAMES),
        (stored(GREY, "ICO"), ImageFault.UNREADABLE),
        (stored(NOISE)[:900], ImageFault.UNREADABLE),
        (b"", ImageFault.UNREADABLE),
    ],
    ids=["pixels", "side", "frames", "format", "damaged", "empty"],
)
def test_every_fault_has_its_reason(data: bytes, reason: ImageFault) -> None:
    with pytest.raises(ImageReadError) as caught:
        read_image(data)
    assert caught.value.reason is reason


def test_files_that_are_missing_and_masks_in_colours_have_theirs(tmp_path: Path) -> None:
    for name in ("none.png", "none.dcm"):
        with pytest.raises(ImageReadError) as caught:
            read_image(tmp_path / name)
        assert caught.value.reason is ImageFault.MISSING
    with pytest.raises(ImageReadError) as caught:
        read_mask(stored(NOISE))
    assert caught.value.reason is ImageFault.COLOURED


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        (ImageFault.TOO_LARGE, "too-large"),
        (ImageFault.SEVERAL_FRAMES, "multi-frame"),
        (ImageFault.UNREADABLE, "unreadable"),
    ],
)
@pytest.mark.parametrize("reader", ["read_header", "read_image"])
def test_other_words_give_the_same_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str, reason: ImageFault, code: str
) -> None:
    def refuse(source: object) -> None:
        raise ImageReadError("escaped the cap, a coloured one", reason=reason)

    (tmp_path / "a.png").write_bytes(stored(GREY))
    monkeypatch.setattr(image, reader, refuse)
    assert [found.code for found in image.inspect_image(tmp_path / "a.png", "t.csv:2", "image").findings] == [code]


@pytest.mark.parametrize(
    ("reason", "code"), [(ImageFault.COLOURED, "mask-coloured"), (ImageFault.UNREADABLE, "mask-unreadable")]
)
def test_other_words_of_masks_give_the_same_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reason: ImageFault, code: str
) -> None:
    def refuse(source: object, **options: object) -> None:
        raise ImageReadError("not coloured, said otherwise", reason=reason)

    (tmp_path / "a.png").write_bytes(stored(GREY))
    monkeypatch.setattr(mask, "read_mask", refuse)
    found = mask.inspect_mask(tmp_path / "a.png", "a.png", None, "t.csv:2", "mask")
    assert [finding.code for finding in found.findings] == [code]


def test_the_reason_crosses_processes() -> None:
    error = pickle.loads(pickle.dumps(ImageReadError("a", where="b", hint="c", reason=ImageFault.TOO_LARGE)))
    assert (str(error), error.reason) == ("b: a (c)", ImageFault.TOO_LARGE)
