import threading
import time

import pytest

from dermtl.files import cores
from dermtl.files.prefetch import batched, in_threads, prefetch


def test_results_come_in_order_whoever_is_first():
    def work(number):
        time.sleep(0.01 * (number % 3))
        return number

    assert list(prefetch(work, range(20), workers=4)) == list(range(20))


def test_items_are_read_no_further_than_needed():
    read = []

    def items():
        for number in range(100):
            read.append(number)
            yield number

    results = prefetch(lambda number: number, items(), workers=3)
    assert next(results) == 0
    assert len(read) <= 5
    results.close()
    assert not any(thread.name.startswith("dermtl") and thread.is_alive() for thread in threading.enumerate())


def test_a_long_list_makes_no_long_queue(monkeypatch):
    """With results to spare, at most so many items are read ahead; every one comes, in order."""
    read, farthest, taken = 0, 0, 0

    def items():
        nonlocal read, farthest
        for number in range(2000):
            read += 1
            farthest = max(farthest, read - taken)
            yield number

    monkeypatch.setattr("dermtl.files.prefetch.count_cores", lambda: 3)
    for expected, number in enumerate(in_threads(lambda number: number, items())):
        assert number == expected
        taken += 1
    assert taken == 2000
    assert farthest <= 3 + 8 * 3


def test_no_more_threads_than_cores_of_this_process(monkeypatch):
    monkeypatch.setattr("dermtl.files.prefetch.count_cores", lambda: 2)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    names = set(in_threads(lambda _: (time.sleep(0.001), threading.current_thread().name)[1], range(100)))
    assert 1 <= len(names) <= 2


def test_an_exception_comes_at_its_place():
    def work(number):
        if number == 2:
            raise ValueError(number)
        return number

    results = prefetch(work, range(5), workers=2)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="2"):
        next(results)


def test_batches():
    assert list(batched(range(5), 2)) == [[0, 1], [2, 3], [4]]
    assert list(batched([], 2)) == []


@pytest.mark.parametrize(
    ("text", "expected"), [("150000 100000", 2), ("50000 100000", 1), ("max 100000", 8), ("nonsense", 8), (None, 8)]
)
def test_cores_are_those_that_the_container_may_use(tmp_path, monkeypatch, text, expected):
    monkeypatch.setattr(cores, "_QUOTA", tmp_path / "cpu.max")
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(8)), raising=False)
    if text is not None:
        (tmp_path / "cpu.max").write_text(text)
    assert cores.count_cores() == expected
