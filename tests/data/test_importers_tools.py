"""Exports of annotation tools: shapes whose pixels are known by hand, and pycocotools where they are not."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dermtl.config.experiment import Data
from dermtl.data.importers.ingest import import_data
from dermtl.data.importers.raster import fill_polygon, fill_runs, unpack_runs
from dermtl.data.manifest.read import read_manifest
from dermtl.errors import AnnotationError, DataError, ManifestError
from dermtl.imaging.decode import read_mask
from dermtl.kinds import Circle, Record

HW = (20, 30)
SQUARE = [(4.0, 2.0), (14.0, 2.0), (14.0, 8.0), (4.0, 8.0)]  # rows 2..7, columns 4..13
SMALL = [(20.0, 10.0), (22.0, 10.0), (22.0, 11.0), (20.0, 11.0)]  # row 10, columns 20 and 21
BOTH = np.zeros(HW, np.uint8)
BOTH[2:8, 4:14] = BOTH[10, 20:22] = 255


def picture(path: Path, hw: tuple[int, int] = HW) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*hw, 3), 90, np.uint8)).save(path)


def imported(source: Path, name: str) -> list[Record]:
    made = import_data(source)
    assert made.format == name
    again = import_data(source)
    assert (again.format, again.num_rows, again.columns) == (name, made.num_rows, made.columns)
    return read_manifest(Data(root=made.manifest.parent, manifest=made.manifest.name))


def mask_of(record: Record) -> np.ndarray:
    path = record.file("mask")
    assert path is not None
    return read_mask(path)


def circle_of(record: Record) -> list[float]:
    read = Circle().read(record)
    assert read is not None
    return list(map(float, read))


def distance(point: np.ndarray, corners: np.ndarray) -> float:
    """From a point to the nearest edge of a polygon, in pixels."""
    starts, ways = corners, np.roll(corners, -1, axis=0) - corners
    shares = np.clip(((point - starts) * ways).sum(axis=1) / (ways**2).sum(axis=1), 0, 1)
    return float(np.linalg.norm(starts + shares[:, None] * ways - point, axis=1).min())


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # pycocotools 2.0.11
def test_polygons_as_pycocotools_fills_them_within_the_edge() -> None:
    """COCO's own code rounds corners to pixels: the two may differ where the outline runs, and nowhere else."""
    masks = pytest.importorskip("pycocotools.mask")
    rng, hw = np.random.default_rng(0), (60, 90)
    for _ in range(50):
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(5, 14)))
        radii = rng.uniform(8, 28, len(angles))
        corners = np.stack([45 + radii * np.cos(angles), 30 + radii * np.sin(angles)], axis=1)
        ours = fill_polygon(corners, hw)
        packed = masks.merge(masks.frPyObjects([corners.ravel().tolist()], *hw))
        theirs = masks.decode(packed).astype(bool)
        rows, columns = np.nonzero(ours != theirs)
        centres = np.stack([columns, rows], axis=1) + 0.5
        assert all(distance(centre, corners) < 1 for centre in centres)
        assert abs(int(ours.sum()) - int(theirs.sum())) <= 12
        assert np.array_equal(fill_runs(unpack_runs(packed["counts"].decode()), hw), theirs)


def labelme(name: str, shapes: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    return {"imagePath": name, "imageHeight": HW[0], "imageWidth": HW[1], "imageData": None, "shapes": shapes, **more}


def shape(kind: str, points: Any, label: str = "lesion", **more: Any) -> dict[str, Any]:
    return {"label": label, "points": points, "shape_type": kind, "group_id": None, "flags": {}, **more}


def test_labelme(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for index in range(3):
        picture(tmp_path / f"{index}.jpg")
    shapes = [
        shape("polygon", SQUARE),
        shape("polygon", SMALL),
        shape("linestrip", SMALL[:2]),
        shape("circle", [(1, 1), (2, 1)], "hair"),
    ]
    (tmp_path / "0.json").write_text(json.dumps(labelme("0.jpg", shapes)))
    stream = io.BytesIO()
    Image.fromarray(np.full((6, 10), True)).save(stream, "PNG")
    stored = base64.b64encode(stream.getvalue()).decode()
    shapes = [shape("rectangle", [SMALL[2], SMALL[0]]), shape("mask", [(4, 2), (13, 7)], mask=stored)]
    (tmp_path / "1.json").write_text(json.dumps(labelme("1.jpg", shapes, flags={"mel": True, "nev": False})))
    (tmp_path / "2.json").write_text(json.dumps(labelme("2.jpg", [shape("circle", [(15, 10), (15, 14)])])))
    first, second, third = imported(tmp_path, "labelme")
    assert np.array_equal(mask_of(first), BOTH)
    assert circle_of(first) == [9.0, 5.0, 4.0]
    assert (first.cells["label"], first.cells["num_objects"]) == ("lesion", "3")
    assert "left out, shapes without an area: 1 linestrip" in caplog.text
    assert np.array_equal(mask_of(second), BOTH)
    assert second.cells["label"] == "mel"
    assert circle_of(third) == [15.0, 10.0, 4.0]
    assert int((mask_of(third) > 0).sum()) == pytest.approx(np.pi * 16, rel=0.05)


def test_labelme_with_long_shapes_before_its_long_picture(tmp_path: Path) -> None:
    """labelme writes shapes, imagePath, imageData, imageHeight: the name lies deep in the file."""
    picture(tmp_path / "0.jpg")
    angles = np.linspace(0, 2 * np.pi, 3000, endpoint=False)
    shapes = [shape("polygon", np.stack([15 + 5 * np.cos(angles), 10 + 5 * np.sin(angles)], axis=1).tolist())]
    content = {"version": "5.5.0", "flags": {}, "shapes": shapes, "imagePath": "0.jpg", "imageData": "A" * (1 << 17)}
    text = json.dumps(content | {"imageHeight": HW[0], "imageWidth": HW[1]})
    assert 1 << 16 < text.index("imagePath") < len(text) - (1 << 16)
    (tmp_path / "0.json").write_text(text)
    (record,) = imported(tmp_path, "labelme")
    assert circle_of(record) == pytest.approx([15, 10, 5], abs=1e-3)


def test_labelme_masks_are_compared_by_their_pixels(tmp_path: Path) -> None:
    """A thin stroke in a large box is smaller than a square."""
    picture(tmp_path / "0.jpg")
    stream = io.BytesIO()
    Image.fromarray(np.eye(18, dtype=bool)).save(stream, "PNG")
    stroke = shape("mask", [(0, 0), (17, 17)], "hair", mask=base64.b64encode(stream.getvalue()).decode())
    (tmp_path / "0.json").write_text(json.dumps(labelme("0.jpg", [stroke, shape("polygon", SQUARE)])))
    (record,) = imported(tmp_path, "labelme")
    assert record.cells["label"] == "lesion"
    stroke["points"] = [(20, 0), (37, 17)]
    (tmp_path / "0.json").write_text(json.dumps(labelme("0.jpg", [stroke])))
    with pytest.raises(AnnotationError, match="18x18 pixels at 20, 0 leaves the picture"):
        import_data(tmp_path)


def test_labelme_of_another_size_is_refused(tmp_path: Path) -> None:
    picture(tmp_path / "0.jpg", (40, 60))
    (tmp_path / "0.json").write_text(json.dumps(labelme("0.jpg", [shape("polygon", SQUARE)])))
    with pytest.raises(AnnotationError, match="60x40 pixels, the annotations state 30x20"):
        import_data(tmp_path)


def test_yolo(tmp_path: Path) -> None:
    for split, index in (("train", 0), ("train", 1), ("val", 2)):
        picture(tmp_path / "images" / split / f"{index}.jpg")
    height, width = HW

    def shares(points: list[tuple[float, float]]) -> str:
        return " ".join(f"{x / width:.8f} {y / height:.8f}" for x, y in points)

    labels = tmp_path / "labels"
    for split in ("train", "val"):
        (labels / split).mkdir(parents=True)
    (labels / "train" / "0.txt").write_text(f"1 {shares(SQUARE)}\n1 {shares(SMALL)}\n0 {shares(SMALL)}\n")
    (labels / "val" / "2.txt").write_text(f"0 {9 / width} {5 / height} {10 / width} {6 / height}\n")
    (tmp_path / "data.yaml").write_text(
        "path: /elsewhere/set\ntrain: images/train\nval: ../set/images/val\nnames: [nev, mel]\n"
    )
    first, background, last = imported(tmp_path, "yolo")
    assert np.array_equal(mask_of(first), BOTH)
    assert (first.cells["label"], first.cells["num_objects"], first.cells["split"]) == ("mel", "3", "train")
    assert (background.cells["label"], background.cells["num_objects"]) == ("", "0")
    assert (last.cells["label"], last.cells["split"], last.cells["mask"]) == ("nev", "val", "")
    assert circle_of(last) == pytest.approx([9, 5, 4])
    (labels / "val" / "2.txt").write_text("7 0.5 0.5 0.1 0.1\n")
    with pytest.raises(AnnotationError, match=r"2\.txt:1: expected a class's number"):
        import_data(tmp_path)


@pytest.mark.parametrize(
    ("line", "more", "words"),
    [
        ("0 15 10 6 4", "", "from 0 to 1"),
        ("0 nan 0.5 0.2 0.2", "", "from 0 to 1"),
        ("0 0.5 0.5 -0.2 0.2", "", "from 0 to 1"),
        ("0 .5 .5 .2 .2 .1 .1 .9 .9", "kpt_shape: [2, 2]\n", "key points"),
        (None, "", "no picture has a file of labels"),
    ],
)
def test_yolo_that_would_be_misread(line: str | None, more: str, words: str, tmp_path: Path) -> None:
    picture(tmp_path / "images" / "train" / "0.jpg")
    (tmp_path / "data.yaml").write_text(f"train: images/train\nnames: [nev]\n{more}")
    if line is not None:
        (tmp_path / "labels" / "train").mkdir(parents=True)
        (tmp_path / "labels" / "train" / "0.txt").write_text(line)
    with pytest.raises(DataError, match=words):
        import_data(tmp_path)


def test_yolo_with_a_missing_picture(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "0.jpg")
    (tmp_path / "train.txt").write_text("./images/0.jpg\n./images/1.jpg\n")
    (tmp_path / "data.yaml").write_text("train: train.txt\nnames: {0: nev}\n")
    (tmp_path / "labels").mkdir()
    for index in range(2):
        (tmp_path / "labels" / f"{index}.txt").write_text("0 .5 .5 .1 .1")
    made = import_data(tmp_path, allow_missing=True)
    assert (made.num_rows, made.num_dropped) == (1, 1)


@pytest.mark.parametrize("names", ["[no, yes]", "{0: no, 1: yes}", "\n  - no\n  - yes"])
def test_names_of_yolo_are_what_is_written(names: str, tmp_path: Path) -> None:
    picture(tmp_path / "images" / "0.jpg")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "0.txt").write_text("0 .5 .5 .1 .1")
    (tmp_path / "data.yaml").write_text(f"train: images\ntest: null\nval:\nnames: {names}\n")
    assert import_data(tmp_path).labels == {"no": 1}


@pytest.mark.parametrize("names", ["", "classes.txt", "{one: nev}"])
def test_yolo_with_odd_names(names: str, tmp_path: Path) -> None:
    picture(tmp_path / "images" / "0.jpg")
    (tmp_path / "data.yaml").write_text(f"train: images\nnames: {names}\n")
    with pytest.raises(ManifestError, match="names: expected a list"):
        import_data(tmp_path)


VOC = """<annotation><folder>JPEGImages</folder><filename>{name}.jpg</filename>
<size><width>30</width><height>20</height><depth>3</depth></size>{objects}</annotation>"""
VOC_OBJECT = """<object><name>{label}</name><difficult>0</difficult><bndbox><xmin>{box[0]}</xmin><ymin>{box[1]}</ymin>
<xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox></object>"""


def test_pascal_voc(tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / "JPEGImages" / f"{name}.jpg")
        (tmp_path / "Annotations").mkdir(exist_ok=True)
        objects = VOC_OBJECT.format(label="nev", box=(1, 1, 2, 2)) + VOC_OBJECT.format(label="mel", box=(5, 3, 14, 8))
        (tmp_path / "Annotations" / f"{name}.xml").write_text(VOC.format(name=name, objects=objects))
    (tmp_path / "SegmentationClass").mkdir()
    Image.fromarray(BOTH // 255).save(tmp_path / "SegmentationClass" / "a.png")
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("a\n")
    (lists / "val.txt").write_text("b\n")
    first, second = imported(tmp_path, "pascal_voc")
    assert circle_of(first) == [9.0, 5.0, 4.0], "pixels 5..14 and 3..8, counted from 1"
    assert (first.cells["label"], first.cells["split"], second.cells["split"]) == ("mel", "train", "val")
    assert np.array_equal(mask_of(first), BOTH // 255)
    bomb = '<!DOCTYPE a [<!ENTITY b "c">]>' + VOC.format(name="a", objects="")
    (tmp_path / "Annotations" / "a.xml").write_text(bomb)
    with pytest.raises(ManifestError, match="declares a document type"):
        import_data(tmp_path)


def voc_file(folder: Path, root: str = "<annotation>", file: str = "a.jpg") -> None:
    text = VOC.format(name="a", objects=VOC_OBJECT.format(label="mel", box=(5, 3, 14, 8)))
    (folder / "Annotations").mkdir(exist_ok=True, parents=True)
    (folder / "Annotations" / "a.xml").write_text(text.replace("<annotation>", root).replace("a.jpg", file))


@pytest.mark.parametrize("file", ["a.jpg", "a", "a.png"])
def test_a_mask_is_not_the_picture_of_voc(file: str, tmp_path: Path) -> None:
    """The root is as labelImg writes it for a picture that was verified."""
    voc_file(tmp_path, '<annotation verified="yes">', file)
    for name in ("SegmentationClass", "SegmentationObject"):
        (tmp_path / name).mkdir()
        Image.fromarray(BOTH // 255).save(tmp_path / name / "a.png")
    with pytest.raises(ManifestError, match="1 files are missing"):
        import_data(tmp_path)
    picture(tmp_path / "JPEGImages" / "a.jpg")
    (record,) = imported(tmp_path, "pascal_voc")
    assert (record.image, record.cells["mask"]) == ("JPEGImages/a.jpg", "SegmentationClass/a.png")


def test_voc_of_another_size_is_refused(tmp_path: Path) -> None:
    voc_file(tmp_path)
    picture(tmp_path / "JPEGImages" / "a.jpg", (40, 60))
    with pytest.raises(AnnotationError, match="60x40 pixels, the annotations state 30x20"):
        import_data(tmp_path)


def test_cvat(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for index in range(3):
        picture(tmp_path / "images" / f"{index}.jpg")

    def points(corners: list[tuple[float, float]]) -> str:
        return ";".join(f"{x:.2f},{y:.2f}" for x, y in corners)

    runs = "0, 10, 14, 10, 2, 10, 2, 10, 2, 10, 2, 10, 2"  # rows of 12: the second is empty
    head = '<?xml version="1.0" encoding="utf-8"?><annotations><version>1.1</version>'
    body = f"""<image id="0" name="0.jpg" width="30" height="20" subset="Train">
      <polygon label="lesion" points="{points(SQUARE)}" z_order="0"/><polygon label="lesion" points="{points(SMALL)}"/>
      <points label="lesion" points="1,1"/></image>
    <image id="1" name="1.jpg" width="30" height="20" subset="Validation">
      <mask label="lesion" rle="{runs}" left="4" top="2" width="12" height="7"/><tag label="mel"/></image>
    <image id="2" name="2.jpg" width="30" height="20"><box label="x" xtl="4" ytl="2" xbr="14" ybr="8"/></image>"""
    (tmp_path / "annotations.xml").write_text(f"{head}{body}</annotations>")
    first, second, third = imported(tmp_path, "cvat")
    assert np.array_equal(mask_of(first), BOTH)
    assert (first.cells["split"], second.cells["split"], second.cells["label"]) == ("train", "val", "mel")
    assert np.array_equal(mask_of(second), decoded_rows(runs, (4, 2, 12, 7)))
    assert circle_of(third) == [9.0, 5.0, 4.0]
    assert "left out, neither areas nor classes: 1 points" in caplog.text


@pytest.mark.parametrize(
    ("shape", "words"),
    [
        ('polygon label="x" points="1,2,3;4,5,6"', "three finite points"),
        ('box label="x" xtl="14" ytl="2" xbr="4" ybr="8"', "-10 times 6 pixels"),
        ('box label="x" rotation="x" xtl="4" ytl="2" xbr="14" ybr="8"', "rotation: expected a number"),
    ],
)
def test_odd_shapes_of_cvat(shape: str, words: str, tmp_path: Path) -> None:
    picture(tmp_path / "0.jpg")
    body = f'<image id="0" name="0.jpg" width="30" height="20"><{shape}/></image>'
    (tmp_path / "annotations.xml").write_text(f"<annotations>{body}</annotations>")
    with pytest.raises(AnnotationError, match=words):
        import_data(tmp_path)


def decoded_rows(runs: str, box: tuple[int, int, int, int]) -> np.ndarray:
    """A mask of CVAT's by a plain loop over its pixels."""
    left, top, width, _ = box
    values = [index % 2 for index, run in enumerate(map(int, runs.split(","))) for _ in range(run)]
    whole = np.zeros(HW, np.uint8)
    for index, value in enumerate(values):
        whole[top + index // width, left + index % width] = 255 * value
    return whole


def percent(points: list[tuple[float, float]]) -> list[list[float]]:
    return [[100 * x / HW[1], 100 * y / HW[0]] for x, y in points]


def test_label_studio(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for index in range(4):
        picture(tmp_path / "images" / f"case {index}.jpg")
    size = {"original_width": HW[1], "original_height": HW[0], "image_rotation": 0}

    def region(kind: str, label: str = "lesion", **value: Any) -> dict[str, Any]:
        return {"type": kind, **size, "value": {**value, kind: [label]}}

    def task(index: int, *results: dict[str, Any], **more: Any) -> dict[str, Any]:
        data = {"image": f"/data/upload/3/0a1b2c3d-case%20{index}.jpg", "patient": f"p{index}"}
        return {"id": index, "data": data, "annotations": [{"result": list(results), "was_cancelled": False, **more}]}

    rectangle = {"x": 100 * 4 / 30, "y": 10.0, "width": 100 * 10 / 30, "height": 30.0, "rotation": 0}
    tasks = [
        task(0, region("polygonlabels", points=percent(SQUARE)), region("polygonlabels", points=percent(SMALL))),
        task(1, {"type": "choices", "value": {"choices": ["mel"]}}, region("rectanglelabels", **rectangle)),
        task(
            2,
            region("brushlabels", format="rle", rle=[1, 2]),
            region("ellipselabels", x=50, y=50, radiusX=10, radiusY=20),
        ),
        task(3, was_cancelled=True),
    ]
    (tmp_path / "export.json").write_text(json.dumps(tasks))
    first, second, third = imported(tmp_path, "label_studio")
    assert first.image == "images/case 0.jpg"
    assert np.array_equal(mask_of(first), BOTH)
    assert (first.cells["patient"], second.cells["label"], second.cells["mask"]) == ("p0", "mel", "")
    assert circle_of(second) == pytest.approx([9, 5, 4])
    assert circle_of(third) == [15.0, 10.0, 3.5]
    assert "left out: 1 regions of type brushlabels, 1 tasks without an annotation" in caplog.text


def test_choices_of_label_studio_that_answer_several_questions(tmp_path: Path) -> None:
    """Each question has its column; what is said of one region is not said of the picture."""
    picture(tmp_path / "a.jpg")
    place = {"x": 10.0, "y": 10.0, "width": 50.0, "height": 50.0, "rotation": 0}
    size = {"original_width": HW[1], "original_height": HW[0], "id": "r"}
    region = {**size, "type": "rectanglelabels", "value": {**place, "rectanglelabels": ["lesion"]}}
    of_region = {**size, "from_name": "edge", "type": "choices", "value": {**place, "choices": ["round"]}}
    dx = {"from_name": "dx", "type": "choices", "value": {"choices": ["mel"]}}
    quality = {"from_name": "quality", "type": "choices", "value": {"choices": ["good", "sharp"]}}

    def write(*results: dict[str, Any]) -> Record:
        tasks = [{"id": 1, "data": {"image": "a.jpg"}, "annotations": [{"result": list(results)}]}]
        (tmp_path / "export.json").write_text(json.dumps(tasks))
        (tmp_path / "manifest.csv").unlink(missing_ok=True)
        return imported(tmp_path, "label_studio")[0]

    assert write(region, of_region).cells["label"] == "lesion"
    assert write(region, of_region, dx).cells["label"] == "mel"
    cells = write(region, of_region, dx, quality).cells
    assert (cells["dx"], cells["quality"], cells["label"]) == ("mel", "good|sharp", "lesion")


@pytest.mark.parametrize("text", ["{}", "[1]", '[{"id": 1}', '[{"id": 1, "data": "x"}]', "[" * 10_000])
def test_odd_json_is_no_crash(text: str, tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text(text)
    with pytest.raises(DataError):
        import_data(tmp_path / "x.json", name="label_studio")
