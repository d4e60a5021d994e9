"""What several test files need: the real pictures, and a small drawn set."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real pictures and weights beside the repository."""
    folder = Path(__file__).parents[1].parent / "shared"
    if not (folder / "data").is_dir():
        pytest.skip("needs the real pictures in ../shared/data")
    return folder


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of 24 drawn lesions with a manifest; not to be written to."""
    from dermtl.data.synth import synthesise

    return synthesise(tmp_path_factory.mktemp("drawn"), num=24).parent
