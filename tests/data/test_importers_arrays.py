"""Layouts told by arrays and JSON: MedMNIST, COCO, nnU-Net, MONAI."""

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dermtl.config.experiment import Data
from dermtl.data.importers.ingest import import_data
from dermtl.data.manifest.preflight import preflight
from dermtl.data.manifest.read import read_manifest
from dermtl.errors import AnnotationError, DataError, ManifestError
from dermtl.imaging.decode import read_image
from dermtl.kinds import Category, Circle, Kind, Mask, Record, Tags

HW = (20, 30)


def picture(path: Path, hw: tuple[int, int] = HW) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*hw, 3), 90, np.uint8)).save(path)


def document(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def imported(source: Path, name: str, out: Path | None = None, **kinds: Kind) -> list[Record]:
    made = import_data(source, out)
    assert made.format == name
    records = read_manifest(Data(root=made.manifest.parent, manifest=made.manifest.name))
    preflight(records, kinds)
    again = import_data(source, out)
    assert (again.format, again.num_rows, again.columns) == (name, made.num_rows, made.columns)
    return records


def medmnist(path: Path, tail: tuple[int, ...], labels: int = 1, **extra: Any) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    arrays: dict[str, np.ndarray] = {}
    for split, num in (("train", 3), ("val", 1), ("test", 2)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (num, *tail), np.uint8)
        arrays[f"{split}_labels"] = rng.integers(0, 2, (num, labels), np.uint8)
    np.savez_compressed(path, **(arrays | extra))
    return arrays


@pytest.mark.parametrize("tail", [(28, 28, 3), (28, 28)])
def test_medmnist(tmp_path: Path, tail: tuple[int, ...]) -> None:
    arrays = medmnist(tmp_path / "dermamnist.npz", tail)
    records = imported(tmp_path, "medmnist", label=Category(("0", "1")))
    assert [record.cells["split"] for record in records] == ["train"] * 3 + ["val"] + ["test"] * 2
    assert [int(record.cells["label"]) for record in records[:3]] == arrays["train_labels"][:, 0].tolist()
    assert records[4].image == "manifest.files/test/000000.png"
    expected = arrays["test_images"][1]
    pixels = read_image(records[5].path)
    assert (pixels == (expected if expected.ndim == 3 else expected[..., None])).all()


def test_medmnist_of_several_labels(tmp_path: Path) -> None:
    arrays = medmnist(tmp_path / "chestmnist.npz", (28, 28), labels=14)
    kind = Tags(tuple(f"label_{index}" for index in range(14)))
    records = imported(tmp_path / "chestmnist.npz", "medmnist", tags=kind)
    assert kind.read(records[1]).tolist() == arrays["train_labels"][1].tolist()


def test_medmnist_refuses_volumes_pickles_and_damage(tmp_path: Path) -> None:
    path = tmp_path / "x.npz"
    medmnist(path, (28, 28, 28))
    with pytest.raises(ManifestError, match="three-dimensional"):
        import_data(path)
    medmnist(path, (28, 28), train_labels=np.array([{}, {}, {}], object))
    with pytest.raises(ManifestError, match="plain numbers"):
        import_data(path)
    medmnist(path, (28, 28), train_labels=np.zeros((2, 1), np.uint8))
    with pytest.raises(ManifestError, match="3 pictures but 2 labels"):
        import_data(path)
    medmnist(path, (28, 28))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError):
        import_data(path, name="medmnist")


def coco(annotations: list[dict[str, Any]], num: int = 2) -> dict[str, Any]:
    images = [{"id": i, "file_name": f"{i}.jpg", "width": HW[1], "height": HW[0], "license": 4} for i in range(num)]
    return {
        "info": {"description": "x"},
        "licenses": [{"id": 4, "name": "CC BY 2.0", "url": "x"}],
        "images": images,
        "annotations": [{"id": index, "iscrowd": 0, "category_id": 1, **a} for index, a in enumerate(annotations)],
        "categories": [{"id": 1, "name": "lesion"}, {"id": 7, "name": "hair"}],
    }


def coco_source(root: Path, annotations: list[dict[str, Any]], num: int = 2) -> Path:
    document(root / "annotations" / "instances_train2017.json", coco(annotations, num))
    for index in range(num):
        picture(root / "train2017" / f"{index}.jpg")
    return root


def test_coco_takes_the_largest_object(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    square = [4.0, 2.0, 14.0, 2.0, 14.0, 8.0, 4.0, 8.0]
    annotations = [
        {"image_id": 0, "bbox": [0, 0, 2, 2], "area": 4, "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]], "category_id": 7},
        {"image_id": 0, "bbox": [4, 2, 10, 6], "area": 60, "segmentation": [square, [20, 10, 22, 10, 22, 11, 20, 11]]},
        {"image_id": 0, "bbox": [0, 0, 30, 20], "area": 600, "iscrowd": 1, "segmentation": {}},
    ]
    kinds = {"label": Category(("lesion",)), "extent": Circle(), "outline": Mask()}
    first, second = imported(coco_source(tmp_path, annotations), "coco", **kinds)
    assert first.image == "train2017/0.jpg"
    assert kinds["extent"].read(first).tolist() == [9.0, 5.0, 4.0]
    expected = np.zeros(HW, np.uint8)
    expected[2:8, 4:14] = 1
    expected[10, 20:22] = 1
    assert (kinds["outline"].read(first) == expected).all()
    assert (first.cells["license"], first.cells["num_objects"], first.cells["label"]) == ("CC BY 2.0", "2", "lesion")
    assert [kind.read(second) for kind in kinds.values()] == [None, None, None]
    assert "1 pictures hold several objects" in caplog.text


def test_coco_unites_the_lesions_of_one_picture(tmp_path: Path) -> None:
    annotations = [
        {"image_id": 0, "area": 60, "segmentation": [[4.0, 2.0, 14.0, 2.0, 14.0, 8.0, 4.0, 8.0]]},
        {"image_id": 0, "area": 2, "segmentation": [[20, 10, 22, 10, 22, 11, 20, 11]]},
        {"image_id": 0, "area": 9, "segmentation": [[0, 0, 3, 0, 3, 3, 0, 3]], "category_id": 7},
    ]
    (record,) = imported(coco_source(tmp_path, annotations, 1), "coco")
    expected = np.zeros(HW, np.uint8)
    expected[2:8, 4:14] = expected[10, 20:22] = 1
    assert np.array_equal(Mask().read(record), expected)
    assert record.cells["num_objects"] == "3"


@pytest.mark.parametrize("is_packed", [False, True])
def test_coco_run_lengths(tmp_path: Path, is_packed: bool) -> None:
    # Down the columns: 40 of background (two columns), 15 of the third, 5, 15 of the fourth, the rest.
    counts: Any = [40, 15, 5, 15, 525]
    if is_packed:  # 40 = 01000 + 1*32; 15 needs 0b01111 (sign bit clear); 5; 15-15 = 0; 525-5 = 520 = 01000 + 16*32
        counts = "".join(chr(48 + bits) for bits in (8 + 32, 1, 15, 5, 0, 8 + 32, 16 + 32, 0))
    outline = {"size": list(HW), "counts": counts}
    source = coco_source(tmp_path, [{"image_id": 0, "bbox": [2, 0, 2, 15], "area": 30, "segmentation": outline}], 1)
    (record,) = imported(source, "coco", outline=Mask())
    expected = np.zeros(HW, np.uint8)
    expected[:15, 2:4] = 1
    assert (Mask().read(record) == expected).all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"segmentation": {"size": [5, 5], "counts": [25]}}, "the mask has the size"),
        ({"segmentation": {"size": list(HW), "counts": [25]}}, "do not fill"),
        ({"segmentation": {"size": list(HW), "counts": "P"}}, "cut off"),
        ({"segmentation": [[1, 2, 3, 4]]}, "three points"),
        ({"segmentation": [1, 2, 3, 4]}, "three points"),
        ({"segmentation": [[1, 2, 3, 4, 5, "a"]]}, "cannot be understood"),
        ({"segmentation": [[1, 2, 3, 4, 5, float("nan")]]}, "not finite"),
        ({"segmentation": {"size": 5, "counts": 7}}, "cannot be understood"),
        ({"segmentation": 7}, "cannot be understood"),
        ({"bbox": [1, 2]}, "x, y, width, height"),
        ({"bbox": 3}, "x, y, width, height"),
        ({"category_id": 3}, "unknown category 3"),
    ],
)
def test_coco_names_the_faulty_annotation(tmp_path: Path, change: dict[str, Any], words: str) -> None:
    source = coco_source(tmp_path, [{"image_id": 0, "bbox": [1, 1, 2, 2], "area": 4, **change}], 1)
    with pytest.raises(DataError, match=words) as caught:
        import_data(source)
    assert "instances_train2017.json: annotation 0" in str(caught.value)
    assert not (tmp_path / "manifest.csv").exists()


def test_coco_ids_join_the_lists(tmp_path: Path) -> None:
    source = coco_source(tmp_path, [{"image_id": [0], "bbox": [1, 1, 2, 2]}], 1)
    with pytest.raises(ManifestError, match=r"annotations 0: image_id: expected a number, got \[0\]"):
        import_data(source)


def test_coco_splits_in_folders_of_their_own(tmp_path: Path) -> None:
    square = [[1, 1, 5, 1, 5, 5, 1, 5]]
    for split, shift in (("train", 0), ("valid", 1)):
        content = coco([{"image_id": 0, "bbox": [1, 1, 4, 4], "segmentation": square}], 1)
        content["images"][0]["file_name"] = f"{split}_{shift}.jpg"
        document(tmp_path / split / "_annotations.coco.json", content)
        picture(tmp_path / split / f"{split}_{shift}.jpg")
    records = imported(tmp_path, "coco", outline=Mask())
    assert [(record.image, record.cells["split"]) for record in records] == [
        ("train/train_0.jpg", "train"),
        ("valid/valid_1.jpg", "val"),
    ]
    assert len({record.cells["mask"] for record in records}) == 2


def test_coco_path_outside_is_refused(tmp_path: Path) -> None:
    content = coco([], 1)
    picture(tmp_path / "secret.jpg")
    content["images"][0]["file_name"] = "../secret.jpg"
    document(tmp_path / "set" / "annotations.json", content)
    with pytest.raises(ManifestError, match="lies outside"):
        import_data(tmp_path / "set")


def nnunet(root: Path, **changes: Any) -> Path:
    labels = {"background": 0, "lesion": 1, "hair": 2}
    content = {
        "channel_names": {"0": "R", "1": "G", "2": "B"},
        "labels": labels,
        "numTraining": 2,
        "file_ending": ".png",
    }
    document(root / "dataset.json", content | changes)
    for part, cases in (("Tr", ("case_001", "case_002")), ("Ts", ("case_003",))):
        for case in cases:
            picture(root / f"images{part}" / f"{case}_0000.png")
            if part == "Tr":
                (root / "labelsTr").mkdir(exist_ok=True)
                Image.fromarray(np.tile(np.arange(3, dtype=np.uint8), (20, 10))).save(root / "labelsTr" / f"{case}.png")
    return root


def test_nnunet(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    kind = Mask(("lesion", "hair"))
    records = imported(nnunet(tmp_path / "Dataset001_Skin"), "nnunet", outline=kind)
    assert [(record.cells["case_id"], record.cells["split"]) for record in records] == [
        ("case_001", "train"),
        ("case_002", "train"),
        ("case_003", "test"),
    ]
    assert kind.read(records[0]).max() == 2
    assert kind.read(records[2]) is None
    assert "classes: [lesion, hair]" in caplog.text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"file_ending": ".nii.gz"}, "file_ending is .nii.gz"),
        ({"labels": {"background": 0, "whole": [1, 2], "core": 2}}, "regions"),
        ({"labels": {"background": 0, "lesion": 1, "ignore": 2}}, "label to ignore"),
        ({"labels": {"background": 0, "lesion": 2}}, "without a gap"),
    ],
)
def test_nnunet_refuses_what_has_no_counterpart(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with pytest.raises(ManifestError, match=words):
        import_data(nnunet(tmp_path, **changes))


def test_nnunet_refuses_channels_in_files(tmp_path: Path) -> None:
    picture(nnunet(tmp_path) / "imagesTr" / "case_001_0001.png")
    with pytest.raises(ManifestError, match="join the channels"):
        import_data(tmp_path)


def test_monai(tmp_path: Path) -> None:
    content = {
        "training": [{"image": "img/1.png", "label": "seg/1.png", "fold": 0}, {"image": ["img/2.png"], "label": 3}],
        "validation": [{"image": "img/3.png", "label": "nevus", "patient_id": "P1"}],
        "test": ["img/4.png"],
    }
    document(tmp_path / "datalist.json", content)
    for index in range(1, 5):
        picture(tmp_path / "img" / f"{index}.png")
    (tmp_path / "seg").mkdir()
    Image.fromarray(np.ones(HW, np.uint8)).save(tmp_path / "seg" / "1.png")
    records = imported(tmp_path, "monai", outline=Mask())
    assert [record.cells["split"] for record in records] == ["train", "train", "val", "test"]
    assert [record.cells["label"] for record in records] == ["", "3", "nevus", ""]
    assert [record.cells["mask"] for record in records] == ["seg/1.png", "", "", ""]
    assert (records[0].cells["fold"], records[2].cells["patient_id"]) == ("0", "P1")


def test_monai_volumes_are_refused(tmp_path: Path) -> None:
    document(tmp_path / "dataset.json", {"training": [{"image": "a.nii.gz", "label": "b.nii.gz"}], "test": []})
    with pytest.raises(ManifestError, match="not a picture of a known format"):
        import_data(tmp_path)


def test_npz_that_is_no_medmnist(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", a=np.zeros(3))
    (tmp_path / "y.npz").write_bytes(io.BytesIO(b"nonsense").getvalue())
    with pytest.raises(ManifestError, match="none of the known formats"):
        import_data(tmp_path)


@pytest.mark.parametrize(
    ("stated", "words"), [((8, 6), "turned to 6x8 by EXIF orientation 6"), ((12, 16), "has 6x8 pixels")]
)
def test_coco_sizes_are_held_against_the_file(stated: tuple[int, int], words: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (8, 6)).save(tmp_path / "a.jpg", exif=exif.tobytes())

    def write(width: int, height: int, file: str = "a.jpg") -> None:
        image = {"id": 1, "file_name": file, "width": width, "height": height}
        flat = {
            "id": 5,
            "image_id": "1",
            "category_id": "3",
            "bbox": [1, 1, 2, 2],
            "segmentation": [1, 1, 3, 1, 3, 3, 1, 3],
        }
        orphan = {"id": 6, "image_id": 9, "category_id": 3, "bbox": [1, 1, 2, 2]}
        content = {"images": [image], "annotations": [flat, orphan], "categories": [{"id": 3, "name": "lesion"}]}
        (tmp_path / "instances.json").write_text(json.dumps(content))

    write(*stated)
    with pytest.raises(AnnotationError, match=words) as caught:
        import_data(tmp_path)
    assert ("exchange width and height" in caught.value.hint) == (stated == (8, 6))
    write(6, 8, ".\\a.jpg")
    (record,) = imported(tmp_path, "coco", outline=Mask())
    mask = Mask().read(record)
    assert mask is not None
    assert np.argwhere(mask).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
