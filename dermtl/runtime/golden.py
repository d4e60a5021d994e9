"""Golden samples: encoded pictures with the trained network's own answers, in a small zip beside the model.

The pictures are drawn, never a patient's, so the zip may travel with the model. Replaying needs no torch.
"""

import io
import json
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import default_rng
from PIL import Image

from dermtl.data.atomic import write_atomic
from dermtl.data.lesion import draw_lesion, draw_patient
from dermtl.data.sketch import sketch
from dermtl.errors import BundleError
from dermtl.imaging.affine import Array
from dermtl.imaging.decode import read_image
from dermtl.imaging.letterbox import Letterbox
from dermtl.kinds import Circle, Kind, Mask, Number, Points
from dermtl.runtime.bundle import INPUT, fits
from dermtl.runtime.predictor import Model

# What zipfile, zlib and NumPy raise on damaged bytes: flags may claim encryption, or an unknown version or method.
_DAMAGED = (
    OSError, ValueError, KeyError, TypeError, EOFError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile
)  # fmt: skip
_ROTATED = 6  # EXIF: the first row is the right side


@dataclass(frozen=True)
class Sample:
    """A picture as a file's bytes.

    Attributes:
        name: Its name in the zip.
        encoded: JPEG or PNG.
    """

    name: str
    encoded: bytes

    @property
    def pixels(self) -> Array:
        """uint8 [H, W, 3], decoded as everywhere."""
        return read_image(self.encoded)


@dataclass(frozen=True)
class Difference:
    """How far one output of one path is from the network's answer, over all samples.

    Attributes:
        path: ``square`` for pictures of the network's own size, ``graph`` for raw pictures, both through the graph;
            ``host`` for pictures that the host letterboxed first.
        output: Its name.
        worst: Largest absolute difference.
        mean: Mean absolute difference.
        limit: Largest difference allowed: of ``mean`` for masks and for the host's way, of ``worst`` for all else.
        agreed: Share of samples whose decision is the same: class, labels, or mask at Dice 0.995.
        ok: Within the limit.
    """

    path: str
    output: str
    worst: float
    mean: float
    limit: float
    agreed: float
    ok: bool


def golden_path(model: Path) -> Path:
    """Where a model's golden samples lie: ``model.golden.zip`` beside ``model.onnx``."""
    return model.with_suffix(".golden.zip")


def make_samples(size: int) -> list[Sample]:
    """Drawn lesions as JPEG and PNG, upright and turned by EXIF, wide, tall, square and small, and two of S x S pixels.

    Args:
        size: Side S of the network's input; a picture of S x S passes the letterbox unchanged.
    """
    pictures = []
    for index in range(5):
        generator = default_rng([1, index])
        patient = draw_patient(generator)
        pictures.append(sketch(patient, draw_lesion(generator), generator)[0])
    wide, tall, turned, square, small = pictures
    exif = Image.Exif()
    exif[0x0112] = _ROTATED
    side = min(square.shape[:2])
    return [
        Sample("wide.jpg", _encode(wide, "JPEG")),
        Sample("tall.png", _encode(np.rot90(tall)[:-1], "PNG")),
        Sample("turned.jpg", _encode(turned, "JPEG", exif)),
        Sample("square.jpg", _encode(square[:side, :side], "JPEG")),
        Sample("small.png", _encode(small[::6, ::6], "PNG")),
        *(
            Sample(f"boxed{index}.png", _encode(_boxed(picture, size), "PNG"))
            for index, picture in enumerate((wide, tall))
        ),
    ]


def write_golden(path: Path, samples: Sequence[Sample], answers: Sequence[Mapping[str, Array]]) -> None:
    """Write samples and answers; each answer is output name to value, source frame."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for sample, answer in zip(samples, answers, strict=True):
            archive.writestr(_entry(sample.name), sample.encoded)
            values = io.BytesIO()
            np.savez_compressed(values, allow_pickle=False, **answer)
            archive.writestr(_entry(f"{sample.name}.npz"), values.getvalue())
        archive.writestr(_entry("samples.json"), json.dumps([sample.name for sample in samples]))
    write_atomic(path, content.getvalue())


def read_golden(path: Path) -> list[tuple[Sample, dict[str, Array]]]:
    """Read what :func:`write_golden` wrote.

    Raises:
        BundleError: The file is missing or damaged.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = json.loads(archive.read("samples.json"))
            golden = []
            for name in names:
                with np.load(io.BytesIO(archive.read(f"{name}.npz")), allow_pickle=False) as stored:
                    golden.append((Sample(name, archive.read(name)), {key: stored[key] for key in stored.files}))
            return golden
    except FileNotFoundError:
        raise BundleError(
            "no golden samples", where=str(path), hint="dermtl export writes them beside the model"
        ) from None
    except _DAMAGED as error:
        raise BundleError(f"the golden samples are damaged: {error}", where=str(path), hint="export again") from error


def replay(model: Model, golden: Sequence[tuple[Sample, Mapping[str, Array]]]) -> list[Difference]:
    """Compare the file with the network on every sample, through every way in.

    Raises:
        BundleError: The samples belong to another model.
    """
    names = list(model.kinds)
    for sample, answer in golden:
        if set(answer) != set(names) or not all(fits(model.kinds[name], answer[name].shape) for name in names):
            given = ", ".join(f"{name} {list(value.shape)}" for name, value in answer.items())
            wanted = ", ".join(f"{name} {list(kind.shape)}" for name, kind in model.kinds.items())
            raise BundleError(f"the golden samples are another model's: {sample.name} has {given}, expected {wanted}")
    square = (model.bundle.size, model.bundle.size)
    pictures = [(sample.pixels, answer) for sample, answer in golden]
    boxed = [picture for picture in pictures if picture[0].shape[:2] == square]
    free = [picture for picture in pictures if picture[0].shape[:2] != square]
    ways = {
        "square": ([_raw(model, image) for image, _ in boxed], boxed),
        "graph": ([_raw(model, image) for image, _ in free], free),
        "host": ([prediction.values for prediction in model.predict_batch([image for image, _ in free])], free),
    }
    return [
        _compare(
            way, name, model.kinds[name], [value[name] for value in values], [answer[name] for _, answer in chosen]
        )
        for way, (values, chosen) in ways.items()
        for name in names
        if chosen
    ]


def _raw(model: Model, image: Array) -> Mapping[str, Array]:
    names = list(model.kinds)
    return {name: value[0] for name, value in zip(names, model.session.run(names, {INPUT: image[None]}), strict=True)}


def _boxed(picture: Array, size: int) -> Array:
    height, width = picture.shape[:2]
    return Letterbox((height, width), size).apply(np.ascontiguousarray(picture))


def _compare(way: str, name: str, kind: Kind, got: Sequence[Array], expected: Sequence[Array]) -> Difference:
    gaps = [np.abs(a.astype(np.float64) - b) for a, b in zip(got, expected, strict=True)]
    worst, mean = max(float(gap.max()) for gap in gaps), float(np.mean([gap.mean() for gap in gaps]))
    agreed = float(np.mean([_agree(kind, a, b) for a, b in zip(got, expected, strict=True)]))
    limit, judged = _limit(way, kind, expected), worst
    if isinstance(kind, Mask) or way == "host":
        judged = mean  # one letterboxed level rounded the other way moves single pixels along an outline
    return Difference(way, name, worst, mean, limit, agreed, judged <= limit and (way == "host" or agreed == 1.0))


def _limit(way: str, kind: Kind, expected: Sequence[Array]) -> float:
    """Allowed difference; see docs/decisions/0003 for why the ways differ."""
    if isinstance(kind, Circle | Points):
        return {"square": 0.05, "graph": 0.05, "host": 0.3}[way]
    limit = {"square": 1e-4, "graph": 1e-3, "host": 5e-3}[way]
    if isinstance(kind, Number):
        return limit * max(1.0, max(float(np.abs(value).max()) for value in expected))
    return limit


def _agree(kind: Kind, got: Array, expected: Array) -> bool:
    if isinstance(kind, Mask):
        a, b = kind.decide(got) > 0, kind.decide(expected) > 0
        return bool(2 * (a & b).sum() >= 0.995 * (a.sum() + b.sum()))
    one, other = kind.to_json(got), kind.to_json(expected)
    return all(one.get(key) == other.get(key) for key in ("label", "labels"))


def _encode(pixels: Array, form: str, exif: Image.Exif | None = None) -> bytes:
    content = io.BytesIO()
    options = {"exif": exif} if exif is not None else {}
    Image.fromarray(np.ascontiguousarray(pixels)).save(content, form, **options)
    return content.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry with a fixed date: equal samples give equal bytes."""
    return zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
