"""The trees in configs/taxonomies: they read, and they know the labels that data sets use."""

import csv
from pathlib import Path

import pytest

from dermtl.taxonomy.read import read_taxonomy

TREES = sorted((Path(__file__).parents[2] / "configs" / "taxonomies").iterdir())
LABELS = {
    "ham10000": ["akiec", "bcc", "bkl", "df", "mel", "nv", "vasc"],
    "isic_2019": ["MEL", "NV", "BCC", "AK", "BKL", "DF", "VASC", "SCC"],
    "pad_ufes_20": ["ACK", "BCC", "MEL", "NEV", "SCC", "SEK"],
    "isic_2020": ["melanoma", "nevus", "seborrheic keratosis", "lentigo NOS", "lichenoid keratosis", "solar lentigo"],
}


@pytest.mark.parametrize("path", TREES, ids=lambda path: path.stem)
def test_reads(path):
    assert len(read_taxonomy(path).nodes) > 2


@pytest.mark.parametrize("labels", LABELS.values(), ids=LABELS)
def test_the_isic_tree_knows_every_label(labels):
    tree = read_taxonomy(TREES[0].parent / "isic.yaml")
    places = {tree.find(label) for label in labels}
    assert len(places) == len(labels)
    for (node,) in places:
        assert tree.depths[node] >= 3  # below the levels that are evaluated


def test_every_real_label_is_in_it(shared):
    tree = read_taxonomy(TREES[0].parent / "isic.yaml")
    with (shared / "data" / "ham10000_224" / "labels.csv").open(newline="") as file:
        assert all(len(tree.find(row["label"])) == 1 for row in csv.DictReader(file))
