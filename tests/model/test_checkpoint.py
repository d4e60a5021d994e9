"""Weights and states come back as they were, or are refused; nothing in a file is ever run."""

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from dermtl.errors import CheckpointError
from dermtl.model.checkpoint import load_state, load_weights, save_state, save_weights


def make() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))


def test_weights_come_back_bit_by_bit(tmp_path: Path) -> None:
    network, other = make().to(memory_format=torch.channels_last), make()
    save_weights(tmp_path / "w.safetensors", network.state_dict())
    load_weights(tmp_path / "w.safetensors", other)
    for name, value in network.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)


def shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-8])


@pytest.mark.parametrize(
    "damage",
    [
        shorten,
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"\xff" * 100),
        lambda path: path.unlink(),
        lambda path: save_file({"weight": torch.zeros(3)}, path),
        lambda path: save_file({**make().state_dict(), "2.weight": torch.zeros(9, 9)}, path),
        lambda path: torch.save(make().state_dict(), path),
        lambda path: (path.unlink(), path.mkdir()),
    ],
    ids=["truncated", "empty", "noise", "missing", "foreign", "other shape", "torch file", "folder"],
)
def test_weights_that_do_not_fit_are_refused(tmp_path: Path, damage: Callable[[Path], object]) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, make().state_dict())
    damage(path)
    with pytest.raises(CheckpointError) as caught:
        load_weights(path, make())
    assert caught.value.where == str(path)


def test_the_old_file_stays_where_writing_fails(tmp_path: Path) -> None:
    path = tmp_path / "w.safetensors"
    save_weights(path, make().state_dict())
    before = path.read_bytes()
    with pytest.raises(AttributeError):
        save_weights(path, {"weight": "no tensor"})  # type: ignore[dict-item]
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["w.safetensors"]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import torch
from dermtl.errors import DataError
from dermtl.model.checkpoint import save_state, save_weights
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # a write beyond fails as it does on a full disk
try:
    {"weights": save_weights, "state": save_state}[sys.argv[1]](Path(sys.argv[2]), {"w": torch.zeros(100_000)})
except DataError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limit on the size of files")
@pytest.mark.parametrize("what", ["weights", "state"])
def test_a_full_disk_keeps_the_old_file_and_is_told(tmp_path: Path, what: str) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    command = [sys.executable, "-c", FULL_DISK, what, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.startswith(f"{path}: cannot be written: ")
    assert "free some space" in done.stdout
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_weights_as_they_may_read_any_file(tmp_path: Path) -> None:
    save_weights(tmp_path / "w.safetensors", make().state_dict())
    (tmp_path / "any").touch()
    assert (tmp_path / "w.safetensors").stat().st_mode == (tmp_path / "any").stat().st_mode


def test_a_state_comes_back(tmp_path: Path) -> None:
    state = {"network": {"w": torch.randn(3)}, "position": {"best": float("inf"), "history": [{"epoch": 1}]}}
    save_state(tmp_path / "state.pt", state)
    found = load_state(tmp_path / "state.pt")
    assert torch.equal(found["network"]["w"], state["network"]["w"])
    assert found["position"] == state["position"]


class Canary:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, ...]:
        return Path.write_text, (self.path, "sung")


@pytest.mark.parametrize("writer", ["pickle", "torch"])
@pytest.mark.parametrize("reader", ["state", "weights"])
def test_nothing_in_a_file_is_run(tmp_path: Path, writer: str, reader: str) -> None:
    sung = tmp_path / "sung.txt"
    path = tmp_path / "state.pt"
    evil = {"network": Canary(sung)}
    if writer == "pickle":
        path.write_bytes(pickle.dumps(evil))
        pickle.loads(path.read_bytes())
        assert sung.exists(), "the canary must be able to sing"
        sung.unlink()
    else:
        torch.save(evil, path)
    with pytest.raises(CheckpointError):
        load_state(path) if reader == "state" else load_weights(path, make())
    assert not sung.exists()


@pytest.mark.parametrize("content", [None, b"", b"not a state", b"PK\x03\x04" + bytes(50)])
def test_a_state_that_is_none_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "state.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        load_state(path)
    assert caught.value.where == str(path)
    assert "\n" not in str(caught.value)


def test_a_state_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    torch.save([torch.zeros(1)], tmp_path / "state.pt")
    with pytest.raises(CheckpointError, match="list"):
        load_state(tmp_path / "state.pt")
