"""Trackers fail in every call and way; the run goes on and the others hear everything."""

import logging

import pytest

from dermtl.tracking.tracker import Tracker
from dermtl.tracking.trackers import Trackers


class Listener:
    """Notes what it is told, spoils it, and fails where it is asked to."""

    def __init__(self, fails_in="", error=RuntimeError):
        self.heard = []
        self._fails_in, self._error = fails_in, error

    def _hear(self, call, *what):
        self.heard.append((call, *what))
        if call == self._fails_in:
            raise self._error("no\nmore")

    def begin(self, run, name, settings):
        self._hear("begin", run, name, dict(settings))
        settings.clear()

    def epoch(self, row):
        self._hear("epoch", row["epoch"])
        row.clear()

    def end(self, state):
        self._hear("end", state)


def calls(listener):
    return [call for call, *_ in listener.heard]


def test_everything_is_told_in_order(tmp_path, told):
    listener = Listener()
    with Trackers({"a": listener}, tmp_path, "demo", {"seed": 1}) as trackers:
        trackers.on_epoch(told(1))
        trackers.on_epoch(told(2))
    assert listener.heard == [
        ("begin", tmp_path, "demo", {"seed": 1}),
        ("epoch", 1),
        ("epoch", 2),
        ("end", "finished"),
    ]


def test_a_tracker_cannot_change_what_it_is_told(tmp_path, told):
    row, settings = told(1), {"seed": 1}
    with Trackers({"a": Listener(), "b": Listener()}, tmp_path, "demo", settings) as trackers:
        trackers.on_epoch(row)
    assert (list(row), settings) == (list(told(1)), {"seed": 1})


@pytest.mark.parametrize("error", [RuntimeError, OSError, SystemExit, AssertionError, MemoryError])
@pytest.mark.parametrize("call", ["begin", "epoch", "end"])
def test_one_that_fails_is_named_once_and_left_out(tmp_path, told, caplog, call, error):
    bad, good = Listener(call, error), Listener()
    with Trackers({"bad": bad, "good": good}, tmp_path, "demo", {}) as trackers:
        trackers.on_epoch(told(1))
        trackers.on_epoch(told(2))
    assert calls(good) == ["begin", "epoch", "epoch", "end"]
    assert calls(bad).count(call) == 1
    assert calls(bad)[-1] == call
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == (
        f"tracker bad failed ({call}) and is left out from here on: {error.__name__}: no more"
    )


def test_a_second_ctrl_c_is_not_swallowed(tmp_path, told):
    with (
        pytest.raises(KeyboardInterrupt),
        Trackers({"a": Listener("epoch", KeyboardInterrupt)}, tmp_path, "x", {}) as t,
    ):
        t.on_epoch(told(1))


def test_a_run_that_dies_is_told_as_failed(tmp_path):
    listener = Listener()
    with pytest.raises(ZeroDivisionError), Trackers({"a": listener}, tmp_path, "demo", {}):
        raise ZeroDivisionError
    assert listener.heard[-1] == ("end", "failed")


def test_the_first_end_counts(tmp_path):
    listener = Listener()
    with Trackers({"a": listener}, tmp_path, "demo", {}) as trackers:
        trackers.end("interrupted")
    assert [heard for heard in listener.heard if heard[0] == "end"] == [("end", "interrupted")]


def test_no_tracker_is_no_trouble(tmp_path, told):
    with Trackers({}, tmp_path, "demo", {}) as trackers:
        trackers.on_epoch(told(1))


def test_the_contract_is_part_of_the_api():
    from dermtl import api

    assert api.Tracker is Tracker
    assert isinstance(Listener(), Tracker)
