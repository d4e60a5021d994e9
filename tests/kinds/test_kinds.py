import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermtl.errors import AnnotationError, BundleError
from dermtl.imaging.letterbox import Letterbox
from dermtl.kinds import Category, Circle, Kind, Mask, Nodes, Number, Record, Tags
from dermtl.kinds.record import safe_relative_path
from dermtl.kinds.registry import kind_from_metadata
from dermtl.taxonomy.names import lineage
from dermtl.taxonomy.node_sums import roll_up

RECORD = "m.csv:5"
HW = (60, 80)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    Image.new("RGB", (HW[1], HW[0]), (180, 120, 100)).save(tmp_path / "x.png")
    return tmp_path


def record(root: Path, **cells: str) -> Record:
    return Record("x.png", root, {"image": "x.png", **cells}, RECORD)


def faulty(kind: Kind, root: Path, *words: str, **cells: str) -> None:
    with pytest.raises(AnnotationError) as caught:
        kind.read(record(root, **cells))
    for word in (RECORD, *words):
        assert word in str(caught.value)


def values(hw: tuple[int, int]) -> list[tuple[Kind, np.ndarray]]:
    """Every kind with a value in the source frame of a picture."""
    mask = np.zeros((2, *hw), np.float32)
    mask[0, 10:30, 10:40] = 0.9
    mask[1, 40:50, 50:60] = 0.7
    return [
        (Category(("nevus", "melanoma", "other"), "dx"), np.array([0.2, 0.7, 0.1], np.float32)),
        (Tags(("dots", "net")), np.array([0.9, 0.2], np.float32)),
        (Circle("x", "y", "radius"), np.array([30.0, 25, 12], np.float32)),
        (Mask(("lesion", "ruler")), mask),
        (Number(("age", "mm"), ("years", "")), np.array([61.0, 4.25], np.float32)),
        (Nodes(("root", "a", "b", "b/c", "b/d")), np.array([1.0, 0.25, 0.75, 0.5, 0.25], np.float32)),
    ]


@pytest.mark.parametrize(("kind", "value"), values(HW), ids=[kind.kind for kind, _ in values(HW)])
class TestEveryKind:
    def test_metadata_make_the_round_trip_through_json(self, kind: Kind, value: np.ndarray) -> None:
        assert kind_from_metadata(json.loads(json.dumps(kind.metadata()))) == kind

    def test_shape_says_the_truth(self, kind: Kind, value: np.ndarray) -> None:
        named = {"H": HW[0], "W": HW[1]}
        assert value.shape == tuple(named.get(str(n), n) for n in kind.shape)

    def test_json_and_columns_are_plain(self, kind: Kind, value: np.ndarray) -> None:
        json.dumps(kind.to_json(value), allow_nan=False)
        assert all(type(number) is float for number in kind.columns(value).values())

    def test_drawing_marks_a_copy(self, kind: Kind, value: np.ndarray) -> None:
        image = Image.new("RGB", (HW[1], HW[0]), (180, 120, 100))
        drawn = kind.draw(image, value)
        assert drawn.size == image.size
        assert drawn.mode == "RGB"
        assert np.asarray(drawn).std() > 1
        assert np.asarray(image).std(axis=(0, 1)).max() == 0

    def test_restore_keeps_leading_axes(self, kind: Kind, value: np.ndarray) -> None:
        box = Letterbox(HW, 32)
        shape = [32 if isinstance(n, str) else n for n in kind.shape]
        restored = kind.restore(np.zeros((5, *shape), np.float32), box)
        assert restored.shape == (5, *value.shape)


def test_captions_stand_below_one_another() -> None:
    image = Image.new("RGB", (200, 200), (180, 120, 100))
    once = Category(("a", "b")).draw(image, np.array([0.6, 0.4]))
    twice = Number(("age",)).draw(once, np.array([50.0]))
    changed = np.asarray(once) != np.asarray(twice)
    assert np.nonzero(changed.any(axis=(1, 2)))[0].min() >= once.info["caption_px"]


def test_unknown_metadata_are_refused() -> None:
    with pytest.raises(BundleError, match=r"unknown kind 'sphere'.*upgrade"):
        kind_from_metadata({"kind": "sphere"})
    with pytest.raises(BundleError, match="do not fit"):
        kind_from_metadata({"kind": "category", "labels": ["a"]})
    with pytest.raises(BundleError):
        kind_from_metadata({})


def test_category_reads_names(root: Path) -> None:
    kind = Category(("nevus", "melanoma"))
    index = kind.read(record(root, label=" melanoma "))
    assert index is not None
    assert index.dtype == np.int64
    assert index.shape == ()
    assert int(index) == 1
    assert kind.read(record(root, label="  ")) is None
    faulty(kind, root, "'melanom'", "did you mean 'melanoma'", label="melanom")
    faulty(kind, root, "the classes are nevus, melanoma", label="7")
    faulty(kind, root, "no column 'label'", "image, dx", dx="nevus")
    assert kind.to_json(np.array([0.25, 0.75]))["label"] == "melanoma"


def test_tags_from_one_column_or_many(root: Path) -> None:
    joined = Tags(("dots", "net", "veil"), column="signs")
    assert joined.read(record(root, signs="veil | dots")).tolist() == [1, 0, 1]  # type: ignore[union-attr]
    assert joined.read(record(root, signs="")).tolist() == [0, 0, 0]  # type: ignore[union-attr]
    faulty(joined, root, "unknown label 'dot'", signs="dot|net")
    many = Tags(("dots", "net"))
    assert many.read(record(root, dots="1", net="0.0")).tolist() == [1, 0]  # type: ignore[union-attr]
    assert many.read(record(root, dots="1", net="")) is None
    faulty(many, root, "'net'", "expected 0 or 1, got 2", dots="1", net="2")
    assert many.to_json(np.array([0.5, 0.49]))["labels"] == ["dots"]


def test_numbers(root: Path) -> None:
    kind = Number(("age", "mm"), ("years", "mm"))
    assert kind.read(record(root, age="61", mm=" 4.5e0 ")).tolist() == [61, 4.5]  # type: ignore[union-attr]
    assert kind.read(record(root, age="61", mm="")) is None
    for text in ("old", "nan", "inf", "1,5"):
        faulty(kind, root, "'age'", f"got {text!r}", age=text, mm="1")
    assert kind.to_json(np.array([61.0, 4.5])) == {
        "value": {"age": 61.0, "mm": 4.5},
        "units": {"age": "years", "mm": "mm"},
    }


def save_mask(root: Path, pixels: np.ndarray, name: str = "m.png") -> None:
    Image.fromarray(pixels).save(root / name)


@pytest.mark.parametrize("top", [1, 128, 255])
def test_one_class_masks(root: Path, top: int) -> None:
    pixels = np.zeros(HW, np.uint8)
    pixels[5:20, 7:30] = top
    save_mask(root, pixels)
    read = Mask().read(record(root, mask="m.png"))
    assert read is not None
    assert read.dtype == np.uint8
    assert np.array_equal(read, pixels > 0)
    assert Mask().read(record(root, mask=" ")) is None


def test_an_empty_mask_is_a_truth_not_a_gap(root: Path) -> None:
    save_mask(root, np.zeros(HW, np.uint8))
    assert not Mask().read(record(root, mask="m.png")).any()  # type: ignore[union-attr]
    assert Circle(mask="mask").read(record(root, mask="m.png")) is None


def test_mask_faults(root: Path) -> None:
    save_mask(root, np.full((HW[1], HW[0]), 255, np.uint8))
    faulty(Mask(), root, "60x80 pixels, its image 80x60", mask="m.png")
    save_mask(root, np.full(HW, 3, np.uint8))
    faulty(Mask(), root, "values up to 3", "0 and 255", mask="m.png")
    faulty(Mask(("a", "b")), root, "the value 3", "2 classes", mask="m.png")
    assert np.array_equal(Mask(("a", "b", "c")).read(record(root, mask="m.png")), np.full(HW, 3))  # type: ignore[arg-type]
    faulty(Mask(), root, "leaves", mask="../m.png")
    faulty(Circle(mask="mask"), root, "leaves", mask="/m.png")


def test_mask_decides_with_the_background() -> None:
    value = np.zeros((2, 1, 4), np.float32)
    value[:, 0] = [[0.6, 0.2, 0.1, 0.45], [0.1, 0.5, 0.2, 0.15]]
    assert Mask(("a", "b")).decide(value).tolist() == [[1, 2, 0, 1]]
    assert Mask(("a", "b")).to_json(value)["area_px"] == {"a": 2, "b": 1}


def test_mask_comes_back_from_the_network_frame(root: Path) -> None:
    pixels = np.zeros(HW, np.uint8)
    pixels[15:45, 20:60] = 255
    save_mask(root, pixels)
    kind, box = Mask(), Letterbox(HW, 128)
    annotation = kind.read(record(root, mask="m.png"))
    assert annotation is not None
    target = kind.encode(annotation, box.view)
    assert target is not None
    assert target.shape == (128, 128)
    restored = kind.decide(kind.restore(target[None].astype(np.float32), box))
    assert (restored != annotation).mean() < 0.02


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a/b.png", "a/b.png"), ("./a//b.png", "a/b.png"), ("a\\b.png", "a/b.png"), ("~/b.png", "~/b.png"), ("", "."),
        ("...", "..."), ("12:30.png", "12:30.png"), ("a/../b.png", None), ("/a", None), ("C:/a", None), ("a\nb", None),
    ],
)  # fmt: skip
def test_paths_stay_inside(path: str, expected: str | None) -> None:
    assert safe_relative_path(path) == expected


@pytest.mark.parametrize(
    "classes",
    [("a", "b/c", "b/d"), ("b::own", "b/c/x", "b/c/y", "b::rest", "a"), ("root::own", "a/x", "a/y")],
)
def test_the_ideal_of_nodes_is_the_true_class_and_all_above_it(classes: tuple[str, ...]) -> None:
    nodes = Nodes(roll_up(classes).names)
    for index, name in enumerate(classes):
        columns = nodes.columns(nodes.perfect_value(np.asarray(index)))
        assert {node for node, value in columns.items() if value == 1} == set(lineage(name))
        assert set(columns.values()) == {0.0, 1.0}
        assert nodes.perfect_value(np.asarray(index)).dtype == np.float32
