"""metrics.csv read back, and the epoch that counts."""

import pytest

from dermtl.errors import DataError
from dermtl.tracking.history import best_row, finite_numbers, head_metrics, heads_of, read_history
from dermtl.tracking.settings import flatten


def test_empty_cells_are_absent_and_nan_stays(tmp_path):
    (tmp_path / "metrics.csv").write_text("epoch,stage,val.loss,val.a.b\n1,1,,nan\n2,1,0.5,\n")
    first, second = read_history(tmp_path / "metrics.csv")
    assert list(first) == ["epoch", "stage", "val.a.b"]
    assert first["val.a.b"] != first["val.a.b"]
    assert second == {"epoch": 2, "stage": 1, "val.loss": 0.5}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("epoch,lr\n1,fast\n", r"metrics\.csv:2: column lr: expected a number, got 'fast'"),
        ("epoch,lr\n1.5,1\n", "column epoch: expected a whole number"),
        ("lr\n1\n", "column epoch"),
        ("epoch\nnan\n", "column epoch"),
        ("epoch\ninf\n", "column epoch"),
        ("", "metrics.csv"),
        ("epoch,lr\n1\n", "metrics.csv"),
    ],
)
def test_a_damaged_file_is_refused_with_its_place(tmp_path, text, words):
    (tmp_path / "metrics.csv").write_text(text)
    with pytest.raises(DataError, match=words):
        read_history(tmp_path / "metrics.csv")


def test_the_best_epoch_is_the_first_of_the_lowest_loss():
    rows = [{"epoch": e, "val.loss": loss} for e, loss in ((1, float("nan")), (2, 0.5), (3, 0.4), (4, 0.4))]
    assert best_row(rows) == rows[2]
    assert best_row([{"epoch": 1}, {"epoch": 2}]) == {"epoch": 2}
    assert best_row([]) is None


def test_figures_are_finite_numbers():
    row = {"epoch": 1, "lr": 0.5, "stage": 2, "a": float("nan"), "b": float("-inf"), "c": None, "d": "text"}
    assert finite_numbers(row) == {"lr": 0.5, "stage": 2.0}


def test_columns_tell_of_heads():
    columns = ["epoch", "val.loss", "val.a.loss", "val.a.loss.bce", "val.a.dice", "val.b.auroc.x.y", "train.c.loss"]
    assert heads_of(columns) == ["a", "b"]
    assert (head_metrics(columns, "a"), head_metrics(columns, "b")) == (["dice"], ["auroc.x.y"])


def test_dotted_keys():
    nested = {"a": {"b": [1, {"c": None}], "d": {}}, "e": [], 3: "x"}
    assert flatten(nested) == {"a.b.0": 1, "a.b.1.c": None, "a.d": {}, "e": [], "3": "x"}
