import logging
import os
from multiprocessing import get_context

import numpy as np
import pytest
from PIL import Image

from dermtl.config.experiment import Data
from dermtl.data.manifest.read import read_manifest
from dermtl.files.table import write_table
from dermtl.training.data.picture_cache import PictureCache, open_cache

SIZE = 16
RNG = np.random.default_rng(0)
IMAGES = [RNG.integers(0, 256, (SIZE, SIZE, 3), dtype=np.uint8) for _ in range(4)]


@pytest.fixture
def records(tmp_path):
    (tmp_path / "images").mkdir()
    names = [f"images/{index}.png" for index in range(len(IMAGES))]
    for name, image in zip(names, IMAGES, strict=True):
        Image.fromarray(image).save(tmp_path / name)
    write_table(tmp_path / "manifest.csv", ("image",), [(name,) for name in names])
    return read_manifest(Data(root=tmp_path))


def opened(mode, records, folder) -> PictureCache:
    cache = open_cache(mode, records, SIZE, folder)
    assert cache is not None
    return cache


@pytest.mark.parametrize("mode", ["ram", "disk"])
def test_what_was_put_is_got(mode, records, tmp_path):
    cache = opened(mode, records, tmp_path / "cache")
    assert cache.get(2) is None
    cache.put(2, IMAGES[2], (31, 7))
    image, source_hw = cache.get(2)
    assert source_hw == (31, 7)
    assert (image == IMAGES[2]).all()
    assert cache.get(1) is None
    assert cache.get(3) is None


def test_a_later_run_finds_the_disk_cache_and_another_size_does_not(records, tmp_path):
    opened("disk", records, tmp_path).put(0, IMAGES[0], (16, 16))
    assert opened("disk", records, tmp_path).get(0) is not None
    other = open_cache("disk", records, SIZE + 1, tmp_path)
    assert other is not None
    assert other.get(0) is None


def test_a_changed_picture_makes_the_cache_stale(records, tmp_path):
    opened("disk", records, tmp_path).put(0, IMAGES[0], (16, 16))
    path = records[0].path
    Image.fromarray(IMAGES[1]).save(path)
    os.utime(path, ns=(1, 1))
    assert opened("disk", records, tmp_path).get(0) is None


@pytest.mark.parametrize("offset", [-1, -200, 0, 5])
def test_torn_and_damaged_rows_read_as_absent(records, tmp_path, offset):
    """Every byte that belongs to the only row: its entry, or its pixels."""
    cache = opened("disk", records[:1], tmp_path)
    cache.put(0, IMAGES[0], (20, 30))
    (path,) = tmp_path.glob("*.pictures")
    content = bytearray(path.read_bytes())
    content[offset] ^= 0xFF
    path.write_bytes(content)
    found = opened("disk", records[:1], tmp_path).get(0)
    assert found is None or (offset == 5 and (found[0] == IMAGES[0]).all())  # byte 5: a height; pixels stay right
    cache = opened("disk", records[:1], tmp_path)
    cache.put(0, IMAGES[0], (20, 30))
    assert cache.get(0)[1] == (20, 30)


def _put(cache, index):
    cache.put(index, IMAGES[index], (index + 1, 9))


@pytest.mark.parametrize("mode", ["ram", "disk"])
def test_forked_workers_share_it(mode, records, tmp_path):
    cache = opened(mode, records, tmp_path / "cache")
    context = get_context("fork")
    workers = [context.Process(target=_put, args=(cache, index)) for index in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for index, image in enumerate(IMAGES):
        found, source_hw = cache.get(index)
        assert (found == image).all()
        assert source_hw == (index + 1, 9)


def test_no_room_is_a_warning_and_no_cache(records, tmp_path, monkeypatch, caplog):
    def full(descriptor, offset, length):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with caplog.at_level(logging.WARNING):
        assert open_cache("disk", records, SIZE, tmp_path / "cache") is None
    assert "No space left" in caplog.text
    assert not list((tmp_path / "cache").iterdir())
    monkeypatch.setattr("dermtl.training.data.picture_cache._free_memory", lambda: 100)
    with caplog.at_level(logging.WARNING):
        assert open_cache("ram", records, SIZE) is None
    assert "more than half of the free memory" in caplog.text


def test_a_disk_that_fills_up_later_only_costs_the_keeping(records, tmp_path, monkeypatch, caplog):
    cache = opened("disk", records, tmp_path)

    def full(*args):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "pwrite", full)
    cache.put(0, IMAGES[0], (16, 16))
    assert cache.get(0) is None
    assert "was not cached" in caplog.text


def test_off_is_off(records):
    assert open_cache("off", records, SIZE) is None
    assert open_cache("ram", [], SIZE) is None
