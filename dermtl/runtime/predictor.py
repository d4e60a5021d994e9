"""An exported model as a Python object: pictures in, predictions out.

The host letterboxes every picture to the network's square, so that pictures of different sizes share a batch; for such
a square the letterbox of the graph and its inverse are the identity, and the kinds restore the outputs instead. Files
are decoded whole, unless ``reduced`` asks for large JPEGs at a part of their size. A loaded model never changes, so it
may be used from many threads.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import BundleError, InputError
from dermtl.files.cores import count_cores
from dermtl.files.prefetch import batched, prefetch
from dermtl.imaging.decode import MAX_SIDE_PX, Reduced, read_image, read_image_for
from dermtl.imaging.letterbox import Letterbox
from dermtl.kinds.kind import Kind
from dermtl.runtime.bundle import INPUT, Bundle, read_bundle
from dermtl.runtime.bundle.model_file import read_model
from dermtl.runtime.bundle.session import faults, open_session
from dermtl.runtime.prediction import Prediction

Source = Path | str | bytes | Array
BATCH_SIZE = 4
_AGAIN = "copy or export it again; dermtl verify checks it"


def load(
    path: Path | str, *, providers: Sequence[str] | None = None, threads: int | None = None, reduced: bool = False
) -> "Model":
    """Open an exported model.

    Args:
        path: The ``model.onnx``.
        providers: Execution providers in order of preference; default: CPU.
        threads: Threads for one run of the network; default: as many as there are cores, which predicts one picture
            soonest. For many pictures at once, in folders or in the threads of a server, one thread is best.
        reduced: Decode large JPEG files at a part of their size: several times faster, with slightly other outputs.

    Raises:
        BundleError: The file is missing, damaged, or not one of dermtl's.
        MissingExtra: The installed ONNX Runtime lacks a provider.
    """
    file = read_model(path)
    session = open_session(file, providers=providers, threads=threads)
    bundle = read_bundle(session, where=str(path))
    return Model(session, bundle, where=str(path), threads=threads, digest=file.sha256, reduced=reduced)


@dataclass(frozen=True)
class Square:
    """A picture in the network frame.

    Attributes:
        pixels: uint8 [S, S, 3].
        letterbox: The mapping between the picture and the network frame.
    """

    pixels: Array
    letterbox: Letterbox


class Model:
    """An exported model, ready to predict.

    Attributes:
        bundle: The metadata of the file.
        session: The ``onnxruntime.InferenceSession``.
        workers: Number of threads with pictures that keep all cores busy, given the threads of one run; at least two,
            so that one decodes while the other runs.
        digest: SHA-256 of the file, hexadecimal; empty if the model was not loaded from a file.
    """

    def __init__(
        self,
        session: Any,
        bundle: Bundle,
        *,
        where: str = "model",
        threads: int | None = None,
        digest: str = "",
        reduced: bool = False,
    ) -> None:
        self.session = session
        self.digest = digest
        self.bundle = bundle
        self.workers = max(2, count_cores() // threads) if threads else 2
        self._where = where
        self._reduced = reduced

    @property
    def kinds(self) -> Mapping[str, Kind]:
        """Output name, ``<head>.<output>``, to kind."""
        return self.bundle.outputs

    def predict(self, source: Source) -> Prediction:
        """Predict one picture.

        Args:
            source: A path, the bytes of a file, or uint8 [H, W, 3], RGB, upright.

        Raises:
            ImageReadError: The file cannot be decoded.
            InputError: The array is not a picture.
            BundleError: The model fails, or gives numbers that are not finite.
        """
        return self.predict_batch([source])[0]

    def predict_batch(self, sources: Sequence[Source]) -> list[Prediction]:
        """Predict pictures of any sizes in one run of the graph; see :meth:`predict`."""
        squares, outputs = self._run_batch(sources)
        return [self.restore(output, square.letterbox) for output, square in zip(outputs, squares, strict=True)]

    def predict_iter(self, sources: Iterable[Source], *, batch_size: int = BATCH_SIZE) -> Iterator[Prediction]:
        """Predict pictures in order, while the next ones are decoded and run. See :meth:`predict`.

        At most ``(workers + 1) * batch_size`` pictures are read ahead, and wait as squares of the network's size.
        """
        if batch_size < 1:
            raise InputError(f"batch_size: expected 1 or more, got {batch_size}")
        for squares, outputs in prefetch(self._run_batch, batched(sources, batch_size), workers=self.workers):
            for square, output in zip(squares, outputs, strict=True):
                yield self.restore(output, square.letterbox)

    def _run_batch(self, sources: Sequence[Source]) -> tuple[list[Square], list[dict[str, Array]]]:
        squares = [self.prepare(source) for source in sources]
        return squares, self.run(squares)

    def warm_up(self, batch_size: int = 1) -> None:
        """Run the network once on a black picture, so that memory is allocated before the first real one.

        Raises:
            BundleError: The graph cannot be run.
        """
        size = self.bundle.size
        square = Square(np.zeros((size, size, 3), np.uint8), Letterbox((size, size), size))
        self.run([square] * batch_size)

    def prepare(self, source: Source) -> Square:
        """Decode and letterbox a picture; may run in other threads."""
        size = self.bundle.size
        if isinstance(source, np.ndarray):
            _refuse(source)
            image: Array | Reduced = source
        else:
            image = read_image_for(source, size) if self._reduced else read_image(source)
        letterbox = Letterbox.of(image, size)
        return Square(letterbox.apply(image), letterbox)

    def run(self, squares: Sequence[Square]) -> list[dict[str, Array]]:
        """Run the graph once.

        Returns:
            For each picture, output name to float array of the kind's shape, network frame.
        """
        if not squares:
            return []
        names, size = list(self.kinds), self.bundle.size
        with faults(self._where, "the model cannot be run", hint=_AGAIN):
            values = self.session.run(names, {INPUT: np.stack([square.pixels for square in squares])})
        for name, value in zip(names, values, strict=True):
            expected = tuple(extent if isinstance(extent, int) else size for extent in self.kinds[name].shape)
            if value.shape != (len(squares), *expected):
                wanted = [len(squares), *expected]
                got = list(value.shape)
                raise BundleError(f"output {name}: expected shape {wanted}, got {got}", where=self._where, hint=_AGAIN)
        return [dict(zip(names, rows, strict=True)) for rows in zip(*values, strict=True)]

    def restore(self, outputs: Mapping[str, Array], letterbox: Letterbox) -> Prediction:
        """Restore the outputs of one picture to the source frame.

        Raises:
            BundleError: An output is not finite.
        """
        values = {}
        for name, kind in self.kinds.items():
            value = np.array(outputs[name], np.float32)  # a copy: a view would keep the whole batch alive
            if not np.isfinite(value).all():
                raise BundleError(f"output {name} is not finite for this picture", where=self._where, hint=_AGAIN)
            values[name] = np.asarray(kind.restore(value, letterbox), np.float32)
        return Prediction(letterbox.source_hw, values, self.kinds, self.bundle.decisions)


def _refuse(image: Array) -> None:
    """Refuse an array that is no picture, or too large; files are checked by their headers."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise InputError(
            f"expected a picture, uint8 [H, W, 3], RGB, got {image.dtype} {list(image.shape)}",
            hint="dermtl.imaging.decode.read_image gives one from any file",
        )
    height, width = image.shape[:2]
    if max(height, width) > MAX_SIDE_PX:
        raise InputError(f"{width}x{height} pixels: a side is longer than {MAX_SIDE_PX}", where="image")
