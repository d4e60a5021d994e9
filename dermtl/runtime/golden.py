"""Golden samples: encoded pictures with the outputs of the trained network, in a small zip beside the model.

The pictures are drawn, never a patient's, so the zip may travel with the model. Replaying needs no torch.
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.random import default_rng
from PIL import Image

from dermtl.arrays import Array
from dermtl.data.synthetic.case import draw_lesion, draw_patient
from dermtl.data.synthetic.render import render
from dermtl.errors import BundleError
from dermtl.files.archive import DAMAGED, read_arrays, read_entry, refuse_inflated
from dermtl.files.atomic import write_atomic
from dermtl.imaging.decode import read_image
from dermtl.imaging.letterbox import Letterbox
from dermtl.runtime.bundle import fits
from dermtl.runtime.parity import Deviations, Parity, graph_outputs
from dermtl.runtime.predictor import Model

_ROTATED = 6  # EXIF: the first row is the right side


@dataclass(frozen=True)
class Sample:
    """A picture as the bytes of a file.

    Attributes:
        name: Name of the picture in the zip.
        encoded: JPEG or PNG.
    """

    name: str
    encoded: bytes

    @property
    def pixels(self) -> Array:
        """The decoded picture, uint8 [H, W, 3]."""
        return read_image(self.encoded)


def golden_path(model: Path) -> Path:
    """The file with a model's golden samples: ``model.golden.zip`` beside ``model.onnx``."""
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
        pictures.append(render(patient, draw_lesion(generator), generator)[0])
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


def write_golden(path: Path, samples: Sequence[Sample], outputs: Sequence[Mapping[str, Array]]) -> None:
    """Write samples and their outputs, each output name to value in the source frame."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for sample, values in zip(samples, outputs, strict=True):
            archive.writestr(_entry(sample.name), sample.encoded)
            arrays = io.BytesIO()
            np.savez_compressed(arrays, allow_pickle=False, **values)
            archive.writestr(_entry(f"{sample.name}.npz"), arrays.getvalue())
        archive.writestr(_entry("samples.json"), json.dumps([sample.name for sample in samples]))
    write_atomic(path, content.getvalue())


def read_golden(path: Path) -> list[tuple[Sample, dict[str, Array]]]:
    """Read what :func:`write_golden` wrote.

    Raises:
        BundleError: The file is missing, damaged, or would unpack to far more bytes than it has.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            refuse_inflated(archive)
            names = json.loads(read_entry(archive, "samples.json"))
            golden = []
            for name in names:
                golden.append(
                    (Sample(name, read_entry(archive, name)), read_arrays(read_entry(archive, f"{name}.npz")))
                )
            return golden
    except FileNotFoundError:
        raise BundleError(
            "no golden samples", where=str(path), hint="dermtl export writes them beside the model"
        ) from None
    except (*DAMAGED, KeyError, TypeError) as error:
        raise BundleError(f"the golden samples are damaged: {error}", where=str(path), hint="export again") from error


def replay(model: Model, golden: Sequence[tuple[Sample, Mapping[str, Array]]]) -> list[Parity]:
    """Compare the file with the network on every sample, through the graph and through the host.

    Raises:
        BundleError: The samples belong to another model.
    """
    names = list(model.kinds)
    for sample, expected in golden:
        if set(expected) != set(names) or not all(fits(model.kinds[name], expected[name].shape) for name in names):
            given = ", ".join(f"{name} {list(value.shape)}" for name, value in expected.items())
            wanted = ", ".join(f"{name} {list(kind.shape)}" for name, kind in model.kinds.items())
            raise BundleError(f"the golden samples are another model's: {sample.name} has {given}, expected {wanted}")
    pictures = [(sample.pixels, expected) for sample, expected in golden]
    hosts = model.predict_batch([image for image, _ in pictures])
    size = model.bundle.size
    collected: dict[tuple[str, str], Deviations] = {}
    for (image, expected), host in zip(pictures, hosts, strict=True):
        ways = {"golden-graph": graph_outputs(model, image), "golden-host": host.values}
        for way, values in ways.items():
            for name in names:
                deviations = collected.setdefault((way, name), Deviations(model.kinds[name], size))
                deviations.add(expected[name], values[name], host.image_hw)
    return [deviations.judge(way, name) for (way, name), deviations in collected.items()]


def _boxed(picture: Array, size: int) -> Array:
    height, width = picture.shape[:2]
    return Letterbox((height, width), size).apply(np.ascontiguousarray(picture))


def _encode(pixels: Array, form: str, exif: Image.Exif | None = None) -> bytes:
    content = io.BytesIO()
    options = {"exif": exif} if exif is not None else {}
    Image.fromarray(np.ascontiguousarray(pixels)).save(content, form, **options)
    return content.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    """An entry with a fixed date, so that equal samples give equal bytes."""
    return zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
