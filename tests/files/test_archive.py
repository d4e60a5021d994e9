"""Archives that stand for far more than they hold are refused before they are unpacked."""

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dermtl.errors import BundleError, DataError
from dermtl.evaluation.metrics.record_scores import HeadScores
from dermtl.evaluation.predict.files import read_measures, write_measures
from dermtl.files.archive import refuse_inflated
from dermtl.runtime.golden import Sample, read_golden, write_golden

MIB = 2**20


def zipped(files: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return content.getvalue()


def npz(**arrays: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, allow_pickle=False, **arrays)
    return content.getvalue()


def refused_in(read: Callable[[], object], error: type[Exception]) -> int:
    """The bytes that were allocated at once before the refusal."""
    tracemalloc.start()
    try:
        with pytest.raises(error, match=r"MiB would unpack to .* MiB, expected at most 64 MiB"):
            read()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_golden_samples_that_swell_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.golden.zip"
    path.write_bytes(zipped({"samples.json": b" " * (100 * MIB) + b"[]"}))
    assert path.stat().st_size < MIB
    assert refused_in(lambda: read_golden(path), BundleError) < 4 * MIB


def test_answers_within_golden_samples_that_swell_are_refused(tmp_path: Path) -> None:
    inner = npz(answer=np.zeros(100 * MIB, np.uint8))
    path = tmp_path / "model.golden.zip"
    path.write_bytes(zipped({"samples.json": b'["a.png"]', "a.png": b"", "a.png.npz": inner}))
    assert refused_in(lambda: read_golden(path), BundleError) < 4 * MIB


def test_measures_that_swell_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "measures.npz"
    path.write_bytes(npz(**{"head/indices": np.zeros(100 * MIB, np.uint8)}))
    assert refused_in(lambda: read_measures(path, []), DataError) < 4 * MIB


def test_a_declared_size_that_lies_unpacks_no_further(tmp_path: Path) -> None:
    """The limit rests on declared sizes, so reading stops there."""
    content = bytearray(zipped({"samples.json": b" " * (4 * MIB) + b"[]"}))
    true, false = (4 * MIB + 2).to_bytes(4, "little"), (9).to_bytes(4, "little")
    assert content.count(true) == 2
    path = tmp_path / "model.golden.zip"
    path.write_bytes(content.replace(true, false))
    tracemalloc.start()
    with pytest.raises(BundleError, match="damaged"):
        read_golden(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MIB


def test_what_is_written_here_is_read(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    answer = {"mask": rng.random((3, 400, 500)).astype(np.float32), "empty": np.zeros((4, 600, 600), np.float32)}
    write_golden(tmp_path / "a.zip", [Sample("a.png", b"x")], [answer])
    ((_, read),) = read_golden(tmp_path / "a.zip")
    assert all((read[name] == answer[name]).all() for name in answer)
    table = {"hit": np.ones(2 * MIB, bool), "value": np.zeros(2 * MIB)}
    write_measures(tmp_path / "m.npz", {"head": HeadScores(np.arange(2 * MIB), table)}, ["a"])
    assert (read_measures(tmp_path / "m.npz", ["a"])["head"].table["hit"] == table["hit"]).all()


def test_a_large_archive_may_unpack_to_a_hundred_times_its_size() -> None:
    noise = np.random.default_rng(0).bytes(MIB)
    with zipfile.ZipFile(io.BytesIO(zipped({"noise": noise, "blank": bytes(90 * MIB)}))) as archive:
        refuse_inflated(archive)
    swollen = io.BytesIO(zipped({"noise": noise, "blank": bytes(130 * MIB)}))
    with zipfile.ZipFile(swollen) as archive, pytest.raises(ValueError, match="would unpack"):
        refuse_inflated(archive)
