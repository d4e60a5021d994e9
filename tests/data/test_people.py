import logging
from collections.abc import Sequence
from pathlib import Path

import pytest

from dermtl.data.checks.check_dataset import check_dataset
from dermtl.data.checks.spellings import class_key, id_keys
from dermtl.data.manifest.groups import group_records, tell_groups
from dermtl.data.manifest.people import id_columns, names_people, unused_columns
from dermtl.kinds import Record


def rows(**columns: Sequence[str]) -> list[dict[str, str]]:
    return [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]


def records(**columns: Sequence[str]) -> list[Record]:
    return [Record(f"{i}.jpg", Path(), cells, f"m.csv:{i + 2}") for i, cells in enumerate(rows(**columns))]


TWICE = [f"P{index // 2}" for index in range(40)]


@pytest.mark.parametrize(
    "name",
    [
        "patient",
        "Patient",
        "patientID",
        "PatientID",
        "PATIENT_ID",
        "pat_id",
        "pat nr",
        "patient-no",
        "Subject ID",
        "MRN",
    ],
)
def test_columns_of_people_are_known_by_their_names(name: str) -> None:
    assert names_people(name)
    assert id_columns(rows(image=[str(i) for i in range(40)], **{name: TWICE})) == [name]


@pytest.mark.parametrize(
    "name", ["patient_age", "sex", "label", "patient_sex", "path", "pattern", "image_id", "personal"]
)
def test_other_columns_are_not(name: str) -> None:
    assert not names_people(name)
    assert id_columns(rows(**{name: TWICE})) == []


def test_lesions_cases_and_eyes_count_where_their_values_are_ids() -> None:
    assert id_columns(rows(lesion=[f"L{index // 2}" for index in range(40)])) == ["lesion"]
    assert id_columns(rows(case=[f"c{index // 3}" for index in range(60)])) == ["case"]
    assert id_columns(rows(eye=["OD", "OS"] * 20)) == []
    assert id_columns(rows(lesion=["nevus", "melanoma", "keratosis", "angioma"] * 10)) == []
    assert id_columns(rows(lesion=["1", "2", "3"] * 20)) == [], "counted anew for every person"
    assert id_columns(rows(case=["1", "0"] * 20)) == []


def test_a_person_needs_no_lesion_and_the_usual_names_come_first() -> None:
    lesions = [str(index % 12) for index in range(40)]
    assert id_columns(rows(lesion=lesions, patient=TWICE)) == ["patient"]
    assert id_columns(rows(patient=TWICE, lesion_id=lesions)) == ["lesion_id", "patient"]
    assert id_columns(rows(patient=[f"P{index}" for index in range(40)])) == [], "nobody comes twice"


def test_records_of_one_patient_are_one_group_by_default() -> None:
    groups = group_records(records(image=[str(i) for i in range(40)], Patient=TWICE))
    assert len(set(groups)) == len(set(TWICE)) == 20
    assert groups[:3] == ["Patient=P0", "Patient=P0", "Patient=P1"]


def test_training_says_what_it_groups_by(caplog: pytest.LogCaptureFixture) -> None:
    table = records(patient=TWICE, site=["a", "b"] * 20)
    with caplog.at_level(logging.INFO):
        tell_groups(table)
        tell_groups(table, ["site"])
        tell_groups(table, [])
    assert caplog.messages[:2] == ["grouped by: patient (20)", "grouped by: site (2)"]
    assert "column 'patient' has 20 values for 40 pictures and looks like ids" in caplog.messages[2]
    assert caplog.messages[3].startswith("grouped by: nothing")
    assert "data.group: [patient]" in caplog.messages[4]


def test_ids_of_anything_are_told_where_nothing_is_grouped() -> None:
    table = rows(image=[str(i) for i in range(40)], ward_code=[f"W{i // 4}" for i in range(40)], score=["1", "2"] * 20)
    assert unused_columns(table, []) == {"ward_code": 10}
    assert unused_columns(table, ["score"]) == {}


def test_spellings_of_one_person_are_told_once_a_spelling(tmp_path: Path) -> None:
    ids = ["007", "007", "7", "7", "7.0", "P7", "P007", "8", "8", "8"]
    lines = [f"{index}.jpg,{text}" for index, text in enumerate(ids)]
    (tmp_path / "m.csv").write_text("\n".join(["image,patient", *lines, ""]))
    found = [one for one in check_dataset(tmp_path / "m.csv").findings if one.code == "id-spelling"]
    assert [(one.row, one.column) for one in found] == [(2, "patient"), (6, "patient"), (7, "patient"), (8, "patient")]
    assert "'P7' may be '7'" in found[2].message


def test_left_and_right_are_two() -> None:
    keys = id_keys({"L1", "R1", "L01", "12", "1-2"})
    assert keys["L1"] == keys["L01"] != keys["R1"]
    assert keys["12"] != keys["1-2"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0", "0.0"),
        ("1", "01"),
        ("1", "True"),
        ("false", "0"),
        ("mel", "mel\u200b"),
        ("mel", "mel\u00a0"),
        ("a_b", "A B"),
        ("\ufb01broma", "fibroma"),
        ("1.50", "1.5"),
    ],
)
def test_spellings_of_one_class(one: str, other: str) -> None:
    assert class_key(one) == class_key(other)


def test_unlike_classes_stay_unlike() -> None:
    assert len({class_key(text) for text in ("0", "1", "10", "mel", "nev", "1a", "-1", "1-2", "12")}) == 9
