import os
import threading

import numpy as np
import pytest
from PIL import Image

import dermtl
from dermtl.errors import BundleError, DataError, ImageReadError
from dermtl.runtime.image_files import find_images
from dermtl.runtime.predict_rows import predict_rows


@pytest.fixture(scope="module")
def model(model_path):
    return dermtl.load(model_path, threads=1)


def test_folders_are_searched_in_order_without_hidden_files(pictures):
    found = [path.relative_to(pictures).as_posix() for path in find_images([pictures])]
    assert found == ["b/grey.TIF", "b/one.png", "b/wide.jpg", "cut.jpg", "text.jpg", "turned.jpg", "wide.jpg"]


def test_paths_keep_their_order_and_come_once(pictures):
    wide = pictures / "wide.jpg"
    found = find_images([wide, pictures, pictures / "b", wide])
    assert found[0] == wide
    assert len(found) == len(set(found)) == 7


def test_a_named_file_is_taken_whatever_its_suffix(pictures):
    named = [pictures / "notes.txt", pictures / ".hidden.jpg"]
    assert find_images(named) == named


def test_a_named_hidden_folder_is_searched(pictures):
    assert find_images([pictures / ".thumbnails"]) == [pictures / ".thumbnails" / "small.jpg"]


def test_an_absent_path_is_named(pictures):
    with pytest.raises(ImageReadError, match="absent"):
        find_images([pictures, pictures / "absent"])


def test_a_folder_without_pictures_says_what_was_looked_for(tmp_path):
    with pytest.raises(DataError, match=r"no picture found.*\.jpg"):
        find_images([tmp_path])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may list every folder")
def test_a_folder_that_cannot_be_listed_is_an_error(pictures):
    (pictures / "b").chmod(0)
    try:
        with pytest.raises(ImageReadError, match="cannot be listed"):
            find_images([pictures])
    finally:
        (pictures / "b").chmod(0o755)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_rows_come_in_order_and_bad_files_say_why(model, pictures, batch_size):
    files = find_images([pictures])
    rows = list(predict_rows(model, files, batch_size=batch_size))
    assert [row.path for row in rows] == files
    failed = {row.path.name: row.error for row in rows if row.prediction is None}
    assert set(failed) == {"cut.jpg", "text.jpg"}
    assert all(name in error and "\n" not in error for name, error in failed.items())
    for row in rows:
        if row.prediction is not None:
            assert row.prediction.columns() == pytest.approx(model.predict(row.path).columns(), abs=1e-4)


def test_only_a_bounded_number_of_pictures_is_decoded_ahead(model, tmp_path, monkeypatch):
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "p.png")
    started = []
    prepare = type(model).prepare
    monkeypatch.setattr(type(model), "prepare", lambda self, path: started.append(path) or prepare(self, path))
    rows = predict_rows(model, [tmp_path / "p.png"] * 200, batch_size=2, workers=2)
    next(rows)
    assert len(started) < 20
    rows.close()
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("ThreadPoolExecutor")]
    assert not any(thread.is_alive() for thread in threads)


def test_a_picture_whose_numbers_are_not_finite_does_not_stop_the_others(model, pictures, monkeypatch):
    restore = type(model).restore

    def spoilt(self, outputs, letterbox):
        if letterbox.source_hw == (1, 1):
            outputs = {**outputs, "age.value": np.array([np.inf], np.float32)}
        return restore(self, outputs, letterbox)

    monkeypatch.setattr(type(model), "restore", spoilt)
    rows = list(predict_rows(model, find_images([pictures / "b"])))
    assert ["not finite" in row.error for row in rows] == [False, True, False]


def test_a_graph_that_cannot_be_run_stops_everything(model, pictures, monkeypatch):
    def fail(self, squares):
        raise BundleError("cannot be run")

    monkeypatch.setattr(type(model), "run", fail)
    with pytest.raises(BundleError):
        list(predict_rows(model, find_images([pictures])))
