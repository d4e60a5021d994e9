"""A large JPEG gives the same pixels to evaluation and prediction; training and ``reduced`` take fewer of it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermtl.config.experiment import Data
from dermtl.data.manifest.read import read_manifest
from dermtl.evaluation.evaluation_target import exported_target
from dermtl.evaluation.predict.predict import predict
from dermtl.files.table import read_table, write_table
from dermtl.imaging.decode import read_image, read_image_for
from dermtl.kinds import Record
from dermtl.runtime.predict_rows import predict_rows
from dermtl.runtime.predictor import load

pytestmark = pytest.mark.slow


@pytest.fixture
def large(drawn: Path, tmp_path: Path) -> list[Record]:
    """Two drawn lesions, made 9 times as large as the network's input."""
    rows = []
    for _, cells in list(read_table(drawn / "manifest.csv"))[:2]:
        name = Path(cells["image"]).name
        Image.open(drawn / cells["image"]).resize((601, 450), Image.Resampling.BICUBIC).save(tmp_path / name)
        rows.append((name, cells["label"], *[""] * 5))
    write_table(tmp_path / "manifest.csv", ("image", "label", "mask", "cx", "cy", "r", "age"), rows)
    return read_manifest(Data(root=tmp_path))


def test_every_way_sees_the_same_pixels(large: list[Record], scored_run: Path, exported: Path) -> None:
    from dermtl.runs.evaluation_target import run_target
    from dermtl.training.data.dataset import Examples

    assert read_image_for(large[0].path, 64).scale == 4
    model, fast = load(exported), load(exported, reduced=True)
    trained = Examples(large, {}, model.bundle.size)
    paths = [record.path for record in large]
    for index, path in enumerate(paths):
        assert np.array_equal(trained[0, index].image, fast.prepare(path).pixels)
        assert np.array_equal(model.prepare(path).pixels, model.prepare(path.read_bytes()).pixels)
        assert np.array_equal(model.prepare(path).pixels, model.prepare(read_image(path)).pixels)
        assert trained[0, index].size_hw == (450, 601)

    asked = [model.predict_batch([path])[0].values for path in paths]
    found = [row.prediction.values for row in predict_rows(model, paths) if row.prediction is not None]
    subject, run = exported_target(exported), run_target(scored_run)
    whole = [read_image(path) for path in paths]
    tables = [predict(one, large).table() for one in (subject, run)]
    for index in range(len(paths)):
        for name, values in asked[index].items():
            assert np.array_equal(found[index][name], values)
            assert np.array_equal(subject.predictor.predict_values(whole)[index][name], values)
        assert np.array_equal(asked[index]["extent.circle"][2], tables[0]["extent.circle.r"][index])
        assert tables[1]["extent.circle.cx"][index] == pytest.approx(tables[0]["extent.circle.cx"][index], abs=1e-3)
        assert asked[index]["outline.mask"].shape == (1, 450, 601)


def test_reduced_pictures_are_close(large: list[Record], exported: Path) -> None:
    path = large[0].path
    whole, part = load(exported).prepare(path).pixels, load(exported, reduced=True).prepare(path).pixels
    assert not np.array_equal(whole, part)
    assert np.abs(whole.astype(int) - part).mean() <= 0.7
