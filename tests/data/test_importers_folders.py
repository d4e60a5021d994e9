from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from dermtl.cli import dermtl
from dermtl.config.experiment import Data
from dermtl.data.checks.check_dataset import check_dataset
from dermtl.data.importers.ingest import import_data
from dermtl.data.importers.named import Columns
from dermtl.data.manifest.folders import look_around
from dermtl.data.manifest.read import read_manifest
from dermtl.errors import AnnotationError, ManifestError


def picture(path: Path, shade: int = 90) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((6, 8, 3), shade, np.uint8)).save(path)


def outline(path: Path, column: int, hw: tuple[int, int] = (6, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    mask = np.zeros(hw, np.uint8)
    mask[:, column] = 255
    Image.fromarray(mask).save(path)


def rows(source: Path, **options: object) -> list[dict[str, str]]:
    made = import_data(source, **options)  # type: ignore[arg-type]
    return [dict(record.cells) for record in read_manifest(Data(root=source, manifest=made.manifest.name))]


def stopped(source: Path, *words: str) -> str:
    with pytest.raises(ManifestError) as caught:
        import_data(source)
    assert not (source / "manifest.csv").exists()
    for word in words:
        assert word in str(caught.value)
    return str(caught.value)


def test_masks_beside_pictures_keep_class_and_mask(tmp_path: Path) -> None:
    for name in ("benign", "malignant"):
        picture(tmp_path / name / f"{name} (1).png")
        outline(tmp_path / name / f"{name} (1)_mask.png", 1)
    outline(tmp_path / "benign" / "benign (1)_mask_1.png", 5)
    first, second = rows(tmp_path)
    assert (first["label"], second["label"]) == ("benign", "malignant")
    assert second["mask"] == "malignant/malignant (1)_mask.png"
    united = np.asarray(Image.open(tmp_path / first["mask"]))
    assert np.flatnonzero(united.any(axis=0)).tolist() == [1, 5]
    assert set(np.unique(united)) == {0, 255}


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("images/a.jpg", "masks/a.png"),
        ("images/a.jpg", "labels/a_mask.png"),
        ("img/a.jpg", "Mask/A.png"),
        ("images/x/a.jpg", "masks/x/a.png"),
        ("train/img/a.jpg", "train/mask/a.png"),
        ("x/a.jpg", "x/a_segmentation.png"),
        ("x/a.jpg", "x/a-seg.png"),
    ],
)
def test_where_masks_lie(image: str, mask: str, tmp_path: Path) -> None:
    picture(tmp_path / image)
    outline(tmp_path / mask, 2)
    seen = look_around(tmp_path)
    assert list(seen.pictures) == [tmp_path / image]
    assert seen.masks == {tmp_path / image: [tmp_path / mask]}
    assert not seen.stray_masks


@pytest.mark.parametrize(
    "names", [("mask/a.jpg", "no_mask/b.jpg"), ("x/a_mask.png", "y/b.png"), ("a/gt.png", "a/t.png")]
)
def test_what_only_sounds_like_a_mask_is_a_picture(names: tuple[str, str], tmp_path: Path) -> None:
    for name in names:
        picture(tmp_path / name)
    assert len(look_around(tmp_path).pictures) == 2


def test_images_and_masks_without_classes(tmp_path: Path) -> None:
    for split in ("Training", "Testing"):
        picture(tmp_path / split / "images" / f"{split}.jpg")
        outline(tmp_path / split / "masks" / f"{split}.png", 1)
    assert rows(tmp_path) == [
        {"image": "Testing/images/Testing.jpg", "split": "testing", "mask": "Testing/masks/Testing.png"},
        {"image": "Training/images/Training.jpg", "split": "training", "mask": "Training/masks/Training.png"},
    ]


def test_companions_are_no_pictures_and_are_told(tmp_path: Path) -> None:
    for name in ("mel", "nev"):
        picture(tmp_path / name / "a.jpg")
        picture(tmp_path / name / "a_superpixels.png")
        picture(tmp_path / name / "a_thumb.png")
    picture(tmp_path / "nev" / "alone_thumb.png")
    assert len(rows(tmp_path)) == 3, "what is made from no picture is one"
    seen = " ".join(import_data(tmp_path, write=False).seen)
    assert "left out  4: a_superpixels.png" in seen


def test_unlike_masks_of_one_picture_are_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / name / "x.png")
    outline(tmp_path / "a" / "x_mask.png", 1)
    outline(tmp_path / "a" / "x_mask_2.png", 1, hw=(8, 8))
    with pytest.raises(AnnotationError, match="one size"):
        import_data(tmp_path)


def test_a_table_beside_folders_stops_with_the_command(tmp_path: Path) -> None:
    for index in range(3):
        picture(tmp_path / "Photos 2023" / f"{index}.jpg")
    (tmp_path / "février.csv").write_bytes(
        "filename;diagnosis;patient\n0.jpg;Nävus;1\n1.jpg;mel;1\n2.jpg;mel;2\n".encode("cp1252")
    )
    told = stopped(tmp_path, "février.csv is not read", "one class, 'Photos 2023'")
    assert "--image-column filename --label-column diagnosis --group-column patient" in told
    read = rows(tmp_path, columns=Columns("filename", "diagnosis", "patient"))
    assert read[0] == {"image": "Photos 2023/0.jpg", "label": "Nävus", "group": "1"}


def test_a_table_of_other_columns_is_answered_with_its_own_command(tmp_path: Path) -> None:
    picture(tmp_path / "0.jpg")
    (tmp_path / "labels.csv").write_text("image,label\n0.jpg,mel\n")
    (tmp_path / "other.csv").write_text("file,kind,dx\n0,x,mel\n")
    (tmp_path / "pipes.csv").write_text("file|dx\n0|mel\n")
    (tmp_path / "book.xlsx").write_bytes(b"PK\x03\x04")
    for name, words in (
        ("other.csv", "other.csv --image-column file --label-column dx"),
        ("pipes.csv", "none of the known formats.*name the right folder or table"),
        ("book.xlsx", "is an Excel workbook that cannot be read.*save the sheet as CSV UTF-8"),
    ):
        with pytest.raises(ManifestError, match=words):
            import_data(tmp_path / name)


def test_naming_the_format_goes_on(tmp_path: Path) -> None:
    for index in range(2):
        picture(tmp_path / "nevus" / f"{index}.jpg")
    stopped(tmp_path, "one class, 'nevus', for all 2 pictures", "--format class_folders")
    assert [row["label"] for row in rows(tmp_path, name="class_folders")] == ["nevus", "nevus"]


@pytest.mark.parametrize("name", ["masks", "train", "Images", "labels", "dev"])
def test_folders_that_name_kinds_of_files_are_no_classes(name: str, tmp_path: Path) -> None:
    picture(tmp_path / name / "a.jpg")
    picture(tmp_path / "nevus" / "b.jpg")
    stopped(tmp_path, f"a class would be called {name!r}")


def test_masks_of_no_picture_and_pictures_of_no_class_stop(tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / "images" / name / "x.jpg")
    outline(tmp_path / "masks" / "a" / "y.png", 1)
    stopped(tmp_path, "1 masks belong to no picture: y.png")
    (tmp_path / "masks" / "a" / "y.png").unlink()
    picture(tmp_path / "images" / "root.jpg")
    stopped(tmp_path, "1 pictures lie in no class folder, such as images/root.jpg")


def test_pictures_are_found_by_path_name_and_stem(tmp_path: Path) -> None:
    picture(tmp_path / "deep" / "er" / "One.JPG")
    picture(tmp_path / "two.png")
    outline(tmp_path / "masks" / "m1.png", 1)
    (tmp_path / "deep" / "er" / "images").mkdir()
    cells = ["file,kind", "one,a", "C:\\photos\\TWO.png,b"]
    (tmp_path / "t.csv").write_text("\n".join([*cells, ""]))
    assert [row["image"] for row in rows(tmp_path, columns=Columns("file", "kind"))] == ["deep/er/One.JPG", "two.png"]


def test_masks_by_column_or_beside_by_name(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.jpg")
    picture(tmp_path / "images" / "b.jpg")
    outline(tmp_path / "masks" / "a.png", 1)
    outline(tmp_path / "masks" / "b.png", 2)
    (tmp_path / "t.csv").write_text("file,outline\na,b.png\nb,NA\n")
    assert [row["mask"] for row in rows(tmp_path, columns=Columns("file"))] == ["masks/a.png", "masks/b.png"]
    named = rows(tmp_path, columns=Columns("file", mask="outline"))
    assert [row["mask"] for row in named] == ["masks/b.png", ""]


def test_a_manifest_like_table_takes_the_masks_beside_its_pictures(tmp_path: Path) -> None:
    for name in ("IMD002", "IMD003"):
        picture(tmp_path / "images" / f"{name}.jpg")
    outline(tmp_path / "masks" / "IMD002_mask.png", 1)
    (tmp_path / "labels.csv").write_text("image,label\n./images/IMD002.jpg,mel\nimages/IMD003.jpg,nev\n")
    read = rows(tmp_path)
    assert [(row["label"], row["mask"]) for row in read] == [("mel", "masks/IMD002_mask.png"), ("nev", "")]


def test_names_of_ph2_beside_a_table_of_other_columns_are_not_taken_for_it(tmp_path: Path) -> None:
    for name in ("IMD002", "IMD003"):
        picture(tmp_path / "images" / f"{name}.jpg")
        outline(tmp_path / "masks" / f"{name}_mask.png", 1)
    (tmp_path / "labels.csv").write_text("file;diagnosis;patient no\nIMD002;mel;7\nIMD003;nev;7\n")
    told = stopped(tmp_path, "labels.csv is not read")
    assert "--image-column file --label-column diagnosis --group-column 'patient no'" in told
    read = rows(tmp_path, columns=Columns("file", "diagnosis", "patient no"))
    assert [(row["label"], row["group"], row["mask"]) for row in read] == [
        ("mel", "7", "masks/IMD002_mask.png"),
        ("nev", "7", "masks/IMD003_mask.png"),
    ]


def test_what_a_named_table_lacks_is_told(tmp_path: Path) -> None:
    picture(tmp_path / "a" / "x.jpg", 1)
    picture(tmp_path / "b" / "x.jpg", 2)
    (tmp_path / "t.csv").write_text("file,kind\nx.jpg,mel\n")
    for columns, words in (
        (Columns("picture"), "no table has the columns picture .*t.csv: file, kind"),
        (Columns("file", "kind"), "'x.jpg' fits 2 files: a/x.jpg, b/x.jpg"),
    ):
        with pytest.raises(ManifestError, match=words):
            import_data(tmp_path, columns=columns)


@pytest.mark.parametrize("name", ["Bilder", "Photos 2023"])
def test_masks_beside_a_folder_of_any_name(name: str, tmp_path: Path) -> None:
    for index in range(2):
        picture(tmp_path / name / f"{index}.png", index)
        outline(tmp_path / "masks" / f"{index}.png", index)
    (tmp_path / "t.csv").write_text("file,kind\n0.png,mel\n1.png,nev\n")
    made = import_data(tmp_path, columns=Columns("file", "kind"))
    assert [row["mask"] for row in rows(tmp_path, columns=Columns("file", "kind"))] == ["masks/0.png", "masks/1.png"]
    assert not made.unused


def test_a_class_without_masks_is_no_folder_of_pictures(tmp_path: Path) -> None:
    for name in ("mask", "no_mask"):
        picture(tmp_path / name / "0.png", len(name))
    stopped(tmp_path, "a class would be called 'mask'")


def test_names_of_ph2_beside_a_workbook_are_not_taken_for_it(tmp_path: Path) -> None:
    for index in (1, 2):
        picture(tmp_path / "Bilder" / f"IMD00{index}.png", index)
    (tmp_path / "Patienten.xlsx").write_bytes(b"PK")
    stopped(tmp_path, "Patienten.xlsx is an Excel workbook and is not read")


def test_explain_writes_nothing_and_says_what_it_saw(tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / name / "1.png")
        outline(tmp_path / name / "1_mask.png", 1)
    outline(tmp_path / "a" / "1_mask_1.png", 3)
    (tmp_path / "IMG_1.MOV").touch()
    (tmp_path / "Thumbs.db").touch()
    before = sorted(tmp_path.rglob("*"))
    told = CliRunner().invoke(dermtl, ["data", "import", str(tmp_path), "--explain"])
    assert told.exit_code == 0, told.output
    assert sorted(tmp_path.rglob("*")) == before
    for words in ("pictures  2 (a 1, b 1)", "masks     3 of 2 pictures", "other files  2: IMG_1.MOV, Thumbs.db"):
        assert words in told.output
    assert "2 pictures would stand in" in told.output


def test_rows_without_class_and_pictures_without_row_are_counted(tmp_path: Path) -> None:
    for index in range(3):
        picture(tmp_path / f"{index}.png", index)
    (tmp_path / "labels.csv").write_text("image,label\n0.png,mel\n1.png,NA\n")
    told = CliRunner().invoke(dermtl, ["data", "import", str(tmp_path)]).output
    assert "unlabelled  1 rows have no class" in told
    assert "unused   1 pictures are in no row: 2.png" in told


def test_a_folder_with_masks_is_no_manifest(tmp_path: Path) -> None:
    for name in ("a", "b"):
        picture(tmp_path / name / "1.png")
        outline(tmp_path / name / "1_mask.png", 1)
    with pytest.raises(ManifestError, match=r"2 masks or companions .*dermtl data import"):
        read_manifest(Data(root=tmp_path, manifest="."))
    (finding,) = check_dataset(tmp_path).findings
    assert (finding.code, "pairs them" in finding.hint) == ("class-folders", True)


def test_one_hugging_face_table_above_the_splits_keeps_them(tmp_path: Path) -> None:
    for name in ("train/0.jpg", "test/1.jpg", "Validation/2.jpg"):
        picture(tmp_path / name)
    (tmp_path / "metadata.csv").write_text("file_name,label\ntrain/0.jpg,a\ntest/1.jpg,b\nValidation/2.jpg,a\n")
    assert [row["split"] for row in rows(tmp_path)] == ["train", "test", "val"]


def test_an_isic_download_takes_the_finest_level_of_each_row(tmp_path: Path) -> None:
    for index in range(3):
        picture(tmp_path / f"ISIC_{index}.jpg", index)
    table = "isic_id,diagnosis_1,diagnosis_3\nISIC_0,Benign,Nevus\nISIC_1,Malignant,\nISIC_2,,\n"
    (tmp_path / "metadata.csv").write_text(table)
    made = import_data(tmp_path)
    assert (made.labels, made.num_unlabelled) == ({"Malignant": 1, "Nevus": 1}, 1)
