"""Every example of the README and of docs/ is run: YAML is read as an experiment, bash and Python are executed."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from dermtl.config.experiment import Experiment
from dermtl.config.load import validate
from dermtl.config.source import parse_source
from dermtl.plugins.plan import plan_heads

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
NOT_RUN = {"": "make needs an installation of its own; CI runs it"}  # language to reason
SHORTER = {"--num 300": "--num 30"}  # the same commands on less data


def blocks(*languages: str) -> list[tuple[str, str]]:
    return [
        (page.name, text)
        for page in PAGES
        for language, text in BLOCK.findall(page.read_text())
        if language in languages
    ]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short demo experiment and `dermtl` on the path."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "configs").mkdir()
    text = (ROOT / "configs" / "demo.yaml").read_text()
    short = re.sub(r"epochs: \d+", "epochs: 1", text)
    assert short != text
    (folder / "configs" / "demo.yaml").write_text(short)
    return folder


def run(command: list[str], folder: Path) -> None:
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr + done.stdout


def test_every_block_is_of_a_known_language():
    found = {language for page in PAGES for language, _ in BLOCK.findall(page.read_text())}
    assert found <= {"bash", "python", "yaml"} | NOT_RUN.keys()


@pytest.mark.parametrize(("page", "text"), blocks("yaml"))
def test_yaml_is_an_experiment(page, text):
    source = parse_source(text, name=page)
    assert plan_heads(validate(Experiment, source.data, source), source)


@pytest.mark.release
def test_commands_and_scripts_run_in_order(workplace):
    """README first: what it makes, the other pages use."""
    for _, text in blocks("bash"):
        for long, short in SHORTER.items():
            text = text.replace(long, short)
        run(["bash", "-euo", "pipefail", "-c", text], workplace)
    for _, text in blocks("python"):
        run([sys.executable, "-c", text], workplace)
    assert (workplace / "overlays").is_dir()
    assert (workplace / "runs/demo/evaluation/test/report.html").is_file()
