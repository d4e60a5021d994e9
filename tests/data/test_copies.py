import io
import runpy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage

from dermtl.config.experiment import Data, Split
from dermtl.data.duplicates.alignment import DISC, lay_over, thumbnail
from dermtl.data.duplicates.near_duplicates import find_copies, write_copies
from dermtl.data.duplicates.review_page import write_review
from dermtl.data.duplicates.similarity import COPY, REVIEW, fingerprint, like_pairs, likeness, pose
from dermtl.data.duplicates.verification import correlation, displacement
from dermtl.data.manifest.read import read_manifest
from dermtl.data.manifest.split import fold_records, split_records
from dermtl.data.synthetic.dataset import synthesise
from dermtl.errors import ImageReadError, LeakageError
from dermtl.files.table import read_table, write_table

draw_film = runpy.run_path(str(Path(__file__).parents[2] / "benchmarks" / "films.py"))["draw_film"]


def encode(image: Image.Image, quality: int = 85) -> bytes:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality)
    return content.getvalue()


def disguises(image: Image.Image, angle: float) -> dict[str, bytes]:
    """Copies as people make them."""
    width, height = image.size
    return {
        "encoded": encode(image, 40),
        "halved": encode(image.resize((width // 2, height // 2), Image.Resampling.BICUBIC)),
        "enlarged": encode(image.resize((width * 17 // 10, height * 17 // 10), Image.Resampling.BICUBIC)),
        "mirrored": encode(image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)),
        "quarter": encode(image.transpose(Image.Transpose.ROTATE_90)),
        "turned": encode(image.rotate(angle, Image.Resampling.BICUBIC)),
        "turned_and_mirrored": encode(
            image.rotate(angle, Image.Resampling.BICUBIC).transpose(Image.Transpose.FLIP_TOP_BOTTOM)
        ),
        "brighter": encode(image.point(lambda level: min(255, level * 115 // 100))),
    }


@pytest.fixture(scope="module")
def lesions(tmp_path_factory):
    folder = tmp_path_factory.mktemp("lesions")
    synthesise(folder, num=40, seed=5)
    return folder


def test_the_bound_misses_no_pair(lesions):
    prints = np.stack([fingerprint(path) for path in sorted((lesions / "images").iterdir())])
    brute = {
        (i, j)
        for i in range(len(prints))
        for j in range(i + 1, len(prints))
        if likeness(prints[i], prints[j : j + 1])[0] >= 0.3
    }
    assert {(i, j) for i, j, _ in like_pairs(prints, least=0.3)} == brute
    assert brute


@given(st.integers(0, 2**16), st.integers(1, 359))
@settings(max_examples=20, deadline=None)
def test_turning_and_mirroring_keep_the_likeness(seed, angle):
    noise = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    image = Image.fromarray(noise).resize((160, 160), Image.Resampling.BICUBIC)
    own = fingerprint(np.asarray(image))
    turned = fingerprint(np.asarray(image.rotate(angle, Image.Resampling.BICUBIC)))
    assert likeness(own, np.stack([own, turned])).min() >= COPY
    assert likeness(own, own[None])[0] == pytest.approx(1, abs=1e-3)


def test_blank_pictures_are_like_nothing():
    blank = fingerprint(np.full((50, 70, 3), 128, np.uint8))
    assert not blank.any()
    assert list(like_pairs(np.stack([blank, blank]))) == []


def test_planted_copies_are_found_and_nothing_else(shared, tmp_path):
    """The bar: at least 95% of planted copies, on real pictures; no pair among unlike pictures."""
    source = shared / "data" / "ph2"
    rng, rows, planted = np.random.default_rng(0), [], set()
    (tmp_path / "images").mkdir()
    for index, path in enumerate(sorted((source / "images").iterdir())[::5]):
        name = f"images/{index}.jpg"
        (tmp_path / name).write_bytes(path.read_bytes())
        rows.append((name,))
        made = disguises(Image.open(path).convert("RGB"), float(rng.uniform(1, 359)))
        kind = sorted(made)[index % len(made)]
        copy = f"images/{index}-{kind}.jpg"
        (tmp_path / copy).write_bytes(made[kind])
        rows.append((copy,))
        planted.add((name, copy))
    write_table(tmp_path / "manifest.csv", ("image",), rows)
    records = read_manifest(Data(root=tmp_path))
    copies = find_copies(records)
    found = {(records[copy.one].image, records[copy.other].image) for copy in copies if copy.is_sure}
    assert len(found & planted) >= 0.95 * len(planted)
    assert not found - planted


def test_real_sets_hold_no_false_copies(shared):
    """Pictures of different lesions are not taken for one another."""
    for name, column in (("ham10000_224", "lesion_id"), ("idrid_codras", "group")):
        records = read_manifest(Data(root=shared / "data" / name, manifest="labels.csv"))
        for copy in find_copies(records):
            assert records[copy.one].cells[column] == records[copy.other].cells[column] or not copy.is_sure


def test_look_alike_films_of_different_patients_are_no_copies(tmp_path):
    """The fingerprints of one anatomy are alike; the pixels of two patients are not, and a true copy is still found."""
    rows = []
    for seed in range(24):
        Image.fromarray(draw_film(seed, variety=1.2)).save(tmp_path / f"{seed}.png")
        rows.append((f"{seed}.png",))
    turned = Image.open(tmp_path / "0.png").rotate(90).transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    (tmp_path / "copy.jpg").write_bytes(encode(turned, 60))
    write_table(tmp_path / "manifest.csv", ("image",), [*rows, ("copy.jpg",)])
    found = find_copies(read_manifest(Data(root=tmp_path)))
    assert [(copy.one, copy.other) for copy in found if copy.is_sure] == [(0, 24)]
    assert sum(copy.likeness >= COPY and not copy.is_sure for copy in found) >= 20


@pytest.mark.parametrize("is_mirrored", [False, True])
def test_a_pose_is_undone_to_the_pixel(lesions, is_mirrored):
    """Turned, enlarged and shifted by Pillow, and laid back."""
    image = Image.open(sorted((lesions / "images").iterdir())[3]).convert("RGB").resize((256, 256))
    moved = image.rotate(31, Image.Resampling.BICUBIC, translate=(3, -2)).resize((264, 264), Image.Resampling.BICUBIC)
    moved = moved.crop((4, 4, 260, 260))
    if is_mirrored:
        moved = moved.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    one, other = np.asarray(image), np.asarray(moved)
    angle, seen_mirrored = pose(fingerprint(one), fingerprint(other))
    assert seen_mirrored == is_mirrored
    laid = lay_over(thumbnail(one), thumbnail(other), angle, is_mirrored=is_mirrored)
    rest = np.abs(laid - thumbnail(one))[DISC]
    assert np.median(rest) < 1.5
    assert correlation(thumbnail(one), laid) > 0.97
    assert displacement(thumbnail(one), laid) < 0.15


@pytest.mark.parametrize("shift_px", [0.5, 1.0])
def test_a_displacement_is_measured(shift_px):
    """Halves that lie apart by a known number of pixels, moved by SciPy."""
    noise = Image.effect_noise((40, 40), 90).resize((128, 128), Image.Resampling.BICUBIC)
    one = np.asarray(noise, np.float32)
    apart = ndimage.shift(one, (0, shift_px), order=3, mode="nearest")
    other = np.where(np.arange(128)[:, None] < 64, one, apart)
    assert displacement(one, one) == pytest.approx(0, abs=1e-6)
    assert displacement(one, apart) == pytest.approx(shift_px, rel=0.25)
    assert displacement(one, other) == pytest.approx(shift_px / np.sqrt(2), rel=0.3)


def leaking(lesions, tmp_path, **columns) -> Data:
    """Forty pictures and a mirrored copy of the first, without patients."""
    (tmp_path / "images").mkdir()
    rows = []
    for where, cells in read_table(lesions / "manifest.csv"):
        assert where
        (tmp_path / cells["image"]).write_bytes((lesions / cells["image"]).read_bytes())
        rows.append((cells["image"], cells["label"], "train"))
    first = Image.open(lesions / rows[0][0])
    (tmp_path / "images/copy.jpg").write_bytes(encode(first.transpose(Image.Transpose.FLIP_LEFT_RIGHT)))
    rows.append(("images/copy.jpg", rows[0][1], "test"))
    write_table(tmp_path / "manifest.csv", ("image", "label", "split"), rows)
    return Data(root=tmp_path, **columns)


def test_copies_stay_on_one_side(lesions, tmp_path):
    data = leaking(lesions, tmp_path)
    records = read_manifest(data)
    copies = find_copies(records)
    assert any({copy.one, copy.other} == {0, len(records) - 1} for copy in copies)
    for seed in range(5):
        dealt = split_records(records, data.model_copy(update={"split": Split(seed=seed)}), copies=copies)
        assert dealt[0].split == dealt[-1].split
        assert dealt[0].group == dealt[-1].group
    folds = fold_records(records, data, 9, "label", copies=copies)
    assert {record.split for record in folds} == {str(fold) for fold in range(9)}
    assert folds[0].split == folds[-1].split


def test_a_split_that_parts_copies_is_refused_by_name(lesions, tmp_path):
    data = leaking(lesions, tmp_path, split=Split(column="split"))
    records = read_manifest(data)
    copies = find_copies(records)
    with pytest.raises(LeakageError, match=r"00000\.jpg \(train\) and images/copy\.jpg \(test\)") as error:
        split_records(records, data, copies=copies)
    assert "allow_leakage" in str(error.value)
    allowed = split_records(records, data.model_copy(update={"allow_leakage": True}), copies=copies)
    assert (allowed[0].split, allowed[-1].split) == ("train", "test")


def test_pairs_are_written_for_review(lesions, tmp_path):
    data = leaking(lesions, tmp_path)
    records = read_manifest(data)
    copies = find_copies(records)
    write_copies(tmp_path, records, copies)
    pairs = [cells for _, cells in read_table(tmp_path / "leakage_pairs.csv")]
    assert list(pairs[0]) == ["image_a", "image_b", "reason", "distance"]
    assert {pairs[0]["image_a"], pairs[0]["image_b"]} == {"images/00000.jpg", "images/copy.jpg"}
    assert 0 <= float(pairs[0]["distance"]) <= 1 - REVIEW
    write_review(tmp_path / "leakage.html", records, copies)
    page = (tmp_path / "leakage.html").read_text()
    assert page.count("<img") == 2 * len(copies)
    assert "http" not in page.replace("http-equiv", "")


def test_equal_files_are_told_apart_from_copies(lesions, tmp_path):
    (tmp_path / "images").mkdir()
    content = next((lesions / "images").iterdir()).read_bytes()
    for name in "ab":
        (tmp_path / f"images/{name}.jpg").write_bytes(content)
    write_table(tmp_path / "manifest.csv", ("image",), [("images/a.jpg",), ("images/b.jpg",)])
    (copy,) = find_copies(read_manifest(Data(root=tmp_path)))
    assert (copy.reason, copy.likeness, copy.is_sure) == ("equal file", 1.0, True)


def test_a_missing_picture_names_its_row(tmp_path):
    write_table(tmp_path / "manifest.csv", ("image",), [("images/absent.jpg",)])
    with pytest.raises(ImageReadError, match=r"manifest\.csv:2"):
        find_copies(read_manifest(Data(root=tmp_path)))
