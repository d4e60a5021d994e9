"""Layouts told by a table: small copies with the columns and file names of the originals."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dermtl.config.experiment import Data
from dermtl.data.importers.ingest import import_data
from dermtl.data.manifest.preflight import preflight
from dermtl.data.manifest.read import read_manifest
from dermtl.errors import ManifestError
from dermtl.kinds import Category, Kind, Mask, Record, Tags

HAM = "lesion_id,image_id,dx,dx_type,age,sex,localization,dataset\n"
PAD = (
    "patient_id,lesion_id,smoke,drink,background_father,background_mother,age,pesticide,gender,skin_cancer_history,"
    "cancer_history,has_piped_water,has_sewage_system,fitspatrick,region,diameter_1,diameter_2,diagnostic,itch,grew,"
    "hurt,changed,bleed,elevation,img_id,biopsed\n"
)
SIIM = "image_name,patient_id,sex,age_approx,anatom_site_general_challenge,diagnosis,benign_malignant,target\n"
ISIC_CLI = (
    "isic_id,attribution,copyright_license,age_approx,anatom_site_general,diagnosis_1,diagnosis_2,diagnosis_3,"
    "image_type,lesion_id,patient_id,sex\n"
)
PH2 = (
    "||   Name || Histological Diagnosis || Clinical Diagnosis || Asymmetry | Pigment Network | Dots/Globules "
    "| Streaks | Regression Areas | Blue-Whitish Veil ||           Colors ||\n"
)


def picture(path: Path, shade: int = 120, hw: tuple[int, int] = (6, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*hw, 3), shade, np.uint8)).save(path)


def outline(path: Path, hw: tuple[int, int] = (6, 8)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.zeros(hw, np.uint8)
    values[1:4, 2:6] = 255
    Image.fromarray(values).save(path)


def table(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def imported(source: Path, name: str, **kinds: Kind) -> list[Record]:
    """Import with detection, and read everything back as a run would."""
    made = import_data(source)
    assert made.format == name
    records = read_manifest(Data(root=made.manifest.parent, manifest=made.manifest.name))
    preflight(records, kinds)
    assert made.num_rows == len(records)
    lock = json.loads(made.lock.read_text())
    named = {record.image for record in records} | {
        record.cells["mask"] for record in records if "mask" in record.cells
    }
    assert set(lock["files"]) == named - {""}
    again = import_data(source)  # the import's own table and pictures do not change what the source is
    assert (again.format, again.num_rows, again.columns) == (name, made.num_rows, made.columns)
    return records


def column(records: list[Record], name: str) -> list[str]:
    return [record.cells[name] for record in records]


def test_class_folders(tmp_path: Path) -> None:
    for index, label in enumerate(("naevus", "melanoma", "naevus")):
        picture(tmp_path / label / f"{index}.jpg")
    records = imported(tmp_path, "class_folders", label=Category(("naevus", "melanoma")))
    assert column(records, "image") == ["melanoma/1.jpg", "naevus/0.jpg", "naevus/2.jpg"]
    assert column(records, "label") == ["melanoma", "naevus", "naevus"]


def test_class_folders_below_splits(tmp_path: Path) -> None:
    for split in ("train", "test"):
        picture(tmp_path / split / "a" / "1.png")
        picture(tmp_path / split / "b" / "2.png")
    records = imported(tmp_path, "class_folders")
    assert {record.image: record.cells["split"] for record in records} == {
        "train/a/1.png": "train",
        "train/b/2.png": "train",
        "test/a/1.png": "test",
        "test/b/2.png": "test",
    }


def test_a_table_passes_through(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "1.jpg")
    outline(tmp_path / "masks" / "1.png")
    table(tmp_path / "labels.csv", "image,label,mask,cx,cy,r,note\nimages/1.jpg,x,masks/1.png,1.5,2,3,-a\n")
    (record,) = imported(tmp_path, "table", outline=Mask())
    assert dict(record.cells) | {"note": "-a", "cx": "1.5", "mask": "masks/1.png"} == dict(record.cells)


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_hugging_face(tmp_path: Path, form: str) -> None:
    rows = [{"file_name": "a.jpg", "mask_file_name": "m/a.png", "label": "x"}]
    for split in ("train", "test"):
        picture(tmp_path / split / "a.jpg")
        outline(tmp_path / split / "m" / "a.png")
        lines = (
            [json.dumps(row) for row in rows] if form == "jsonl" else [",".join(rows[0]), ",".join(rows[0].values())]
        )
        table(tmp_path / split / f"metadata.{form}", "\n".join(lines) + "\n")
    records = imported(tmp_path, "hugging_face", outline=Mask())
    assert column(records, "image") == ["test/a.jpg", "train/a.jpg"]
    assert column(records, "split") == ["test", "train"]
    assert column(records, "mask") == ["test/m/a.png", "train/m/a.png"]


def test_isic_cli_keeps_licences(tmp_path: Path) -> None:
    rows = (
        'ISIC_0000001,"Clinic, A",CC-BY,55,head/neck,Malignant,x,Melanoma Invasive,dermoscopic,IL_1,IP_1,male\n'
        "ISIC_0000002,Anonymous,CC-0,,,Benign,Melanocytic,Nevus,dermoscopic,IL_2,IP_1,\n"
    )
    table(tmp_path / "metadata.csv", ISIC_CLI + rows)
    table(tmp_path / "attribution.txt", "Clinic, A\n")
    table(tmp_path / "licenses" / "CC-0.txt", "...")
    for name in ("ISIC_0000001", "ISIC_0000002"):
        picture(tmp_path / f"{name}.jpg")
    records = imported(tmp_path, "isic_cli", label=Category(("Melanoma Invasive", "Nevus")))
    assert column(records, "attribution") == ["Clinic, A", "Anonymous"]
    assert column(records, "copyright_license") == ["CC-BY", "CC-0"]
    assert column(records, "patient_id") == ["IP_1", "IP_1"]
    assert column(records, "diagnosis_1") == ["Malignant", "Benign"]


@pytest.mark.parametrize("is_flat", [False, True])
def test_ham10000(tmp_path: Path, is_flat: bool) -> None:
    rows = "HAM_0000118,ISIC_0027419,bkl,histo,80.0,male,scalp,vidir_modern\nHAM_0,ISIC_0029306,nv,,,,,vidir_modern\n"
    table(tmp_path / "HAM10000_metadata.csv", HAM + rows)
    folders = ("images", "images") if is_flat else ("HAM10000_images_part_1", "HAM10000_images_part_2")
    for folder, name in zip(folders, ("ISIC_0027419", "ISIC_0029306"), strict=True):
        picture(tmp_path / folder / f"{name}.jpg")
    outline(tmp_path / "HAM10000_segmentations_lesion_tschandl" / "ISIC_0027419_segmentation.png")
    records = imported(tmp_path, "ham10000", label=Category(("bkl", "nv")), outline=Mask())
    assert column(records, "image")[0] == f"{folders[0]}/ISIC_0027419.jpg"
    assert column(records, "lesion_id") == ["HAM_0000118", "HAM_0"]
    assert column(records, "dx") == column(records, "label") == ["bkl", "nv"]
    assert column(records, "mask") == ["HAM10000_segmentations_lesion_tschandl/ISIC_0027419_segmentation.png", ""]


def test_copies_of_a_picture_must_be_alike(tmp_path: Path) -> None:
    table(tmp_path / "HAM10000_metadata.csv", HAM + "HAM_1,ISIC_0000001,nv,histo,1,male,back,x\n")
    for folder in ("HAM10000_images_part_1", "ham10000_images_part_1"):
        picture(tmp_path / folder / "ISIC_0000001.jpg")
    assert len(imported(tmp_path, "ham10000")) == 1
    picture(tmp_path / "ham10000_images_part_1" / "ISIC_0000001.jpg", shade=3)
    with pytest.raises(ManifestError, match=r"HAM10000_metadata.csv:2: two files are named ISIC_0000001"):
        import_data(tmp_path)


def test_isic_2016(tmp_path: Path) -> None:
    table(tmp_path / "ISBI2016_ISIC_Part3_Training_GroundTruth.csv", "ISIC_0000000,benign\nISIC_0000002,malignant\n")
    table(tmp_path / "ISBI2016_ISIC_Part3_Test_GroundTruth.csv", "ISIC_0000003,0.0\nISIC_0000004,1.0\n")
    for index in (0, 2):
        picture(tmp_path / "ISBI2016_ISIC_Part3_Training_Data" / f"ISIC_000000{index}.jpg")
    for index in (3, 4):
        picture(tmp_path / "ISBI2016_ISIC_Part3_Test_Data" / f"ISIC_000000{index}.jpg")
    outline(tmp_path / "ISBI2016_ISIC_Part1_Training_GroundTruth" / "ISIC_0000000_Segmentation.png")
    records = imported(tmp_path, "isic_2016", label=Category(("benign", "malignant")), outline=Mask())
    found = [(record.cells["image_id"], record.cells["label"], record.cells["split"]) for record in records]
    assert found == [
        ("ISIC_0000003", "benign", "test"),
        ("ISIC_0000004", "malignant", "test"),
        ("ISIC_0000000", "benign", "train"),
        ("ISIC_0000002", "malignant", "train"),
    ]
    assert [bool(mask) for mask in column(records, "mask")] == [False, False, True, False]


def test_isic_2016_with_a_header(tmp_path: Path) -> None:
    table(tmp_path / "ISBI2016_ISIC_Part3_Training_GroundTruth.csv", "image_id,target\nISIC_0000000,benign\n")
    picture(tmp_path / "ISIC_0000000.jpg")
    (record,) = imported(tmp_path, "isic_2016")
    assert record.cells["label"] == "benign"


def test_isic_2017(tmp_path: Path) -> None:
    truth = "ISIC-2017_Training_Part3_GroundTruth.csv"
    rows = "ISIC_0000000,0.0,0.0\nISIC_0000001,1.0,0.0\nISIC_0000002,0.0,1.0\n"
    table(tmp_path / truth, "image_id,melanoma,seborrheic_keratosis\n" + rows)
    meta = "image_id,age_approximate,sex\nISIC_0000001,55,female\n"
    table(tmp_path / "ISIC-2017_Training_Data" / "ISIC-2017_Training_Data_metadata.csv", meta)
    for index in range(3):
        picture(tmp_path / "ISIC-2017_Training_Data" / f"ISIC_000000{index}.jpg")
        outline(tmp_path / "ISIC-2017_Training_Data" / f"ISIC_000000{index}_superpixels.png")
        outline(tmp_path / "ISIC-2017_Training_Part1_GroundTruth" / f"ISIC_000000{index}_segmentation.png")
    classes = ("nevus", "melanoma", "seborrheic_keratosis")
    records = imported(tmp_path, "isic_2017", label=Category(classes), outline=Mask())
    assert column(records, "label") == list(classes)
    assert column(records, "sex") == ["", "female", ""]
    table(tmp_path / truth, "image_id,melanoma,seborrheic_keratosis\nISIC_0000000,1.0,1.0\n")
    with pytest.raises(ManifestError, match=re.escape(f"{truth}:2: expected exactly one class")):
        import_data(tmp_path)


def test_isic_2018_task_3(tmp_path: Path) -> None:
    truth = tmp_path / "ISIC2018_Task3_Training_GroundTruth" / "ISIC2018_Task3_Training_GroundTruth.csv"
    header = "image,MEL,NV,BCC,AKIEC,BKL,DF,VASC\n"
    table(truth, header + "ISIC_0024306,0.0,1.0,0.0,0.0,0.0,0.0,0.0\nISIC_0024307,0.0,0.0,0.0,0.0,0.0,0.0,1.0\n")
    groups = "image,lesion_id,diagnosis_confirm_type\nISIC_0024306,HAM_0000550,serial imaging showing no change\n"
    table(tmp_path / "ISIC2018_Task3_Training_LesionGroupings.csv", groups)
    for name in ("ISIC_0024306", "ISIC_0024307"):
        picture(tmp_path / "ISIC2018_Task3_Training_Input" / f"{name}.jpg")
    records = imported(tmp_path, "isic_2018", label=Category(("MEL", "NV", "VASC")))
    assert column(records, "label") == ["NV", "VASC"]
    assert column(records, "lesion_id") == ["HAM_0000550", ""]
    for cells, words in (
        ("0,0,0,0,0,0,0", "got none"),
        ("1,1,0,0,0,0,0", "got MEL and NV"),
        ("0.5,0,0,0,0,0,0", "0.5"),
    ):
        table(truth, f"{header}ISIC_0024306,{cells}\n")
        with pytest.raises(ManifestError, match=words) as caught:
            import_data(tmp_path)
        assert "ISIC2018_Task3_Training_GroundTruth.csv:2" in str(caught.value)


def test_isic_2019(tmp_path: Path) -> None:
    header = "image,MEL,NV,BCC,AK,BKL,DF,VASC,SCC,UNK"
    table(tmp_path / "ISIC_2019_Training_GroundTruth.csv", f"{header}\nISIC_0000002_downsampled,1.0{',0.0' * 8}\n")
    meta = "image,age_approx,anatom_site_general,lesion_id,sex\n"
    table(
        tmp_path / "ISIC_2019_Training_Metadata.csv", meta + "ISIC_0000002_downsampled,30.0,upper extremity,MSK4,male\n"
    )
    row = f"ISIC_0034321,0.0,1.0{',0.0' * 7},1.0,1.0\n"
    table(tmp_path / "ISIC_2019_Test_GroundTruth.csv", f"{header},score_weight,validation_weight\n{row}")
    table(
        tmp_path / "ISIC_2019_Test_Metadata.csv", "image,age_approx,anatom_site_general,sex\nISIC_0034321,80.0,,male\n"
    )
    inner = tmp_path / "ISIC_2019_Training_Input" / "ISIC_2019_Training_Input"
    picture(inner / "ISIC_0000002_downsampled.jpg")
    picture(tmp_path / "ISIC_2019_Test_Input" / "ISIC_0034321.jpg")
    records = imported(tmp_path, "isic_2019", label=Category(("MEL", "NV", "UNK")))
    assert column(records, "split") == ["test", "train"]
    assert column(records, "lesion_id") == ["", "MSK4"]
    assert column(records, "score_weight") == ["1.0", ""]


def test_isic_task_1(tmp_path: Path) -> None:
    for part, name in (("Training", "ISIC_0000000"), ("Validation", "ISIC_0012255")):
        picture(tmp_path / f"ISIC2018_Task1-2_{part}_Input" / f"{name}.jpg")
        outline(tmp_path / f"ISIC2018_Task1_{part}_GroundTruth" / f"{name}_segmentation.png")
    records = imported(tmp_path, "isic_outlines", outline=Mask())
    assert column(records, "split") == ["train", "val"]
    assert [int(Mask().read(record).sum()) for record in records] == [12, 12]


def test_siim_isic_2020(tmp_path: Path) -> None:
    rows = "ISIC_2637011,IP_7279968,male,45.0,head/neck,unknown,benign,0\nISIC_0015719,IP_3,,,,melanoma,malignant,1\n"
    table(tmp_path / "train.csv", SIIM + rows)
    for name in ("ISIC_2637011", "ISIC_0015719"):
        picture(tmp_path / "jpeg" / "train" / f"{name}.jpg")
    records = imported(tmp_path, "siim_isic_2020", label=Category(("benign", "malignant")))
    assert column(records, "patient_id") == ["IP_7279968", "IP_3"]
    assert column(records, "diagnosis") == ["unknown", "melanoma"]


def test_pad_ufes_20(tmp_path: Path) -> None:
    row = "PAT_1516,1765,,,,,8,,,,,,,,ARM,,,NEV,FALSE,FALSE,FALSE,FALSE,FALSE,FALSE,PAT_1516_1765_530.png,FALSE\n"
    table(tmp_path / "metadata.csv", PAD + row)
    picture(tmp_path / "images" / "imgs_part_1" / "imgs_part_1" / "PAT_1516_1765_530.png")
    (record,) = imported(tmp_path, "pad_ufes_20", label=Category(("NEV",)))
    cells = record.cells
    assert (cells["patient_id"], cells["lesion_id"], cells["img_id"]) == ("PAT_1516", "1765", "PAT_1516_1765_530.png")


def test_ph2_as_handed_out(tmp_path: Path) -> None:
    rows = (
        "|| IMD003 ||                        ||                  0 ||         0 |               T |             A |"
        "       A |                A |                 A ||                4 ||\n"
        "|| IMD423 ||              Melanoma  ||                  2 ||         2 |              AT |             A |"
        "       P |                P |                 P ||       3  4  5  6 ||\n"
    )
    table(
        tmp_path / "PH2_dataset.txt", PH2 + rows + "\nLegends:\n0 - Common Nevus; 1 - Atypical Nevus; 2 - Melanoma.\n"
    )
    for name in ("IMD003", "IMD423"):
        folder = tmp_path / "PH2 Dataset images" / name
        picture(folder / f"{name}_Dermoscopic_Image" / f"{name}.bmp")
        values = np.zeros((6, 8), np.bool_)
        values[1:4, 2:6] = True
        (folder / f"{name}_lesion").mkdir()
        Image.fromarray(values).save(folder / f"{name}_lesion" / f"{name}_lesion.bmp")
        picture(folder / f"{name}_roi" / f"{name}_R1_Label4.bmp")
    records = imported(tmp_path, "ph2", label=Category(("common_nevus", "melanoma")), outline=Mask())
    assert column(records, "image")[0] == "PH2 Dataset images/IMD003/IMD003_Dermoscopic_Image/IMD003.bmp"
    assert column(records, "label") == ["common_nevus", "melanoma"]
    assert column(records, "colors") == ["4", "3 4 5 6"]
    assert column(records, "histological_diagnosis") == ["", "Melanoma"]
    assert int(Mask().read(records[0]).sum()) == 12


def test_ph2_flat_without_a_table(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    picture(tmp_path / "images" / "IMD002.jpg")
    outline(tmp_path / "masks" / "IMD002.png")
    (record,) = imported(tmp_path, "ph2", outline=Mask())
    assert "no label" in caplog.text
    assert "label" not in record.cells


@pytest.mark.parametrize(("name", "num"), [("ph2", 134), ("busi", 300)])
def test_real_tables(shared: Path, tmp_path: Path, name: str, num: int) -> None:
    for path in (shared / "data" / name).rglob("*"):
        if path.is_file() and "original" not in path.parts:
            (copy := tmp_path / path.relative_to(shared / "data" / name)).parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    made = import_data(tmp_path)
    assert (made.format, made.num_rows) == ("table", num)
    records = read_manifest(Data(root=tmp_path))
    preflight(records, {"label": Category(tuple(made.labels))})


def test_fitzpatrick17k(tmp_path: Path) -> None:
    header = "md5hash,fitzpatrick_scale,fitzpatrick_centaur,label,nine_partition_label,three_partition_label,qc,"
    header += "url,url_alphanum\n"
    row = "5e82a45bc5d78bd24ae9202d194423f8,3,3,drug induced pigmentary changes,inflammatory,non-neoplastic,,http://x/y,xy\n"
    table(tmp_path / "fitzpatrick17k.csv", header + row)
    picture(tmp_path / "images" / "5e82a45bc5d78bd24ae9202d194423f8.jpg")
    (record,) = imported(tmp_path, "fitzpatrick17k")
    assert (record.cells["label"], record.cells["fitzpatrick_scale"]) == ("drug induced pigmentary changes", "3")


def test_ddi(tmp_path: Path) -> None:
    rows = "0,1,000001.png,56,True,melanoma-in-situ\n1,2,000002.png,12,False,nevus\n"
    table(tmp_path / "ddi_metadata.csv", ",DDI_ID,DDI_file,skin_tone,malignant,disease\n" + rows)
    for index in (1, 2):
        picture(tmp_path / f"{index:06d}.png")
    records = imported(tmp_path, "ddi")
    assert column(records, "label") == ["True", "False"]
    assert column(records, "disease") == ["melanoma-in-situ", "nevus"]


def test_aptos_2019(tmp_path: Path) -> None:
    table(tmp_path / "train.csv", "id_code,diagnosis\n000c1434d8d7,2\n001639a390f0,4\n")
    table(tmp_path / "test.csv", "id_code\n0005cfc8afb6\n")
    for name in ("train_images/000c1434d8d7", "train_images/001639a390f0", "test_images/0005cfc8afb6"):
        picture(tmp_path / f"{name}.png")
    assert column(imported(tmp_path, "aptos_2019"), "label") == ["2", "4"]
    assert [path.stem for path in import_data(tmp_path).unused] == ["0005cfc8afb6"]


def test_derm7pt(tmp_path: Path) -> None:
    header = "case_num,diagnosis,seven_point_score,pigment_network,sex,clinic,derm,case_id,notes\n"
    table(tmp_path / "meta/meta.csv", header + "1,basal cell carcinoma,0,absent,male,NEL/NEL027.JPG,NEL/Nel026.jpg,,\n"
          "2,clark nevus,1,typical,female,NEL/NEL028.JPG,NEL/Nel029.jpg,,\n")  # fmt: skip
    for name in ("NEL027.JPG", "Nel026.jpg", "NEL028.JPG", "Nel029.jpg"):
        picture(tmp_path / "images" / "NEL" / name)
    for split, index in (("train", 1), ("valid", 0)):
        table(tmp_path / "meta" / f"{split}_indexes.csv", f"indexes\n{index}\n")
    records = imported(tmp_path, "derm7pt")
    assert column(records, "image")[:2] == ["images/NEL/Nel026.jpg", "images/NEL/NEL027.JPG"]
    assert column(records, "view") == ["dermoscopic", "clinical"] * 2
    assert column(records, "split") == ["val", "val", "train", "train"]
    assert column(records, "lesion_id") == ["1", "1", "2", "2"]


def test_chest_xray_14(tmp_path: Path) -> None:
    header = (
        "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position,"
        "OriginalImage[Width,Height],OriginalImagePixelSpacing[x,y],\n"
    )
    rows = (
        "00000001_000.png,Cardiomegaly|Effusion,0,1,58,M,PA,2682,2749,0.143,0.143,\n"
        "00000002_000.png,No Finding,0,2,81,M,PA,2500,2048,0.171,0.171,\n"
    )
    table(tmp_path / "Data_Entry_2017.csv", header + rows)
    table(tmp_path / "train_val_list.txt", "00000001_000.png\n")
    table(tmp_path / "test_list.txt", "00000002_000.png\n")
    for index in (1, 2):
        picture(tmp_path / f"images_00{index}" / "images" / f"0000000{index}_000.png")
    kind = Tags(("Cardiomegaly", "Effusion"))
    first, second = imported(tmp_path, "chest_xray_14", findings=kind)
    assert [list(kind.read(record)) for record in (first, second)] == [[1, 1], [0, 0]]
    assert [record.cells["patient_id"] for record in (first, second)] == ["1", "2"]
    assert [record.cells["split"] for record in (first, second)] == ["train", "test"]
