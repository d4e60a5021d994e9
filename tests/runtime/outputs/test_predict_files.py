"""Prediction into rows and sinks without the command: what a server or a cluster job calls."""

import csv

import pytest

import dermtl
from dermtl.errors import InputError
from dermtl.runtime.image_files import find_images
from dermtl.runtime.outputs.masks import Masks
from dermtl.runtime.outputs.overlays import Overlays
from dermtl.runtime.outputs.predict_files import predict_files
from dermtl.runtime.outputs.rows import open_rows


@pytest.fixture(scope="module")
def model(model_path):
    return dermtl.load(model_path, threads=1)


class Recorder:
    """A sink of somebody else, which cannot take one of the pictures."""

    def __init__(self, refused=None):
        self.refused = refused
        self.written = []

    def plan(self, files):
        return []

    def write(self, file, prediction):
        if file == self.refused:
            raise InputError("the archive is closed", where=str(file))
        self.written.append(file)


def read(path):
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_rows_masks_overlays_and_a_foreign_sink_in_one_pass(model, pictures, tmp_path):
    files, recorder, done = find_images([pictures / "b"]), Recorder(), []
    sinks = [Overlays(tmp_path / "drawn", [pictures]), Masks(tmp_path / "masks", [pictures], model.kinds), recorder]
    rows = open_rows(tmp_path / "rows.csv", model.kinds, model=model.digest)
    assert predict_files(model, files, rows, sinks, advance=done.append) == 0
    assert [row["image"] for row in read(tmp_path / "rows.csv")] == [file.as_posix() for file in files]
    assert {path for sink in sinks[:2] for path in sink.plan(files)} == {
        path for folder in ("drawn", "masks") for path in (tmp_path / folder).rglob("*.*")
    }
    assert sorted(recorder.written) == files
    assert sum(done) == len(files)


def test_what_a_sink_cannot_write_is_a_row_with_the_reason(model, pictures, tmp_path):
    files = find_images([pictures / "b"])
    rows = open_rows(tmp_path / "rows.csv", model.kinds, model=model.digest)
    assert predict_files(model, files, rows, [Recorder(refused=files[1])]) == 1
    errors = [row["error"] for row in read(tmp_path / "rows.csv")]
    assert ["the archive is closed" in error for error in errors] == [False, True, False]


def test_nothing_is_opened_before_all_files_are_planned(model, pictures, tmp_path):
    files = find_images([pictures / "b"])
    masks = Masks(tmp_path / "masks", [pictures], model.kinds)
    (tmp_path / "masks" / "b").mkdir(parents=True)
    (tmp_path / "masks" / "b" / "one.png.outline.png").write_bytes(b"precious")
    for overwrite in (False, True):
        rows = open_rows(tmp_path / "rows.csv", model.kinds, model=model.digest)
        if overwrite:
            assert predict_files(model, files, rows, [masks], overwrite=True) == 0
        else:
            with pytest.raises(InputError, match="exists already"):
                predict_files(model, files, rows, [masks])
            assert not list(tmp_path.glob("rows*"))


def test_rows_of_an_earlier_run_are_left_out(model, pictures, tmp_path):
    files = find_images([pictures / "b"])

    class Killed(Exception):
        pass

    def stop(num):
        if num == 1:
            raise Killed

    with pytest.raises(Killed):
        predict_files(model, files, open_rows(tmp_path / "r.csv", model.kinds, model=model.digest), advance=stop)
    recorder, done = Recorder(), []
    rows = open_rows(tmp_path / "r.csv", model.kinds, model=model.digest, resume=True)
    assert predict_files(model, files, rows, [recorder], advance=done.append) == 0
    assert sorted(recorder.written) == files[1:]
    assert done == [1, 1, 1]
    assert [row["image"] for row in read(tmp_path / "r.csv")] == [file.as_posix() for file in files]
