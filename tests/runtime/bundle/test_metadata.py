import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dermtl.errors import BundleError
from dermtl.kinds import Category, Circle, Mask, Number, Tags
from dermtl.runtime.bundle import Bundle, blank, read_bundle

names = st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4, unique=True).map(tuple)
kinds = st.one_of(
    st.builds(Category, names, st.text()),
    st.builds(Tags, names),
    st.builds(Circle, st.text(), mask=st.text()),
    st.builds(Mask, names),
    st.builds(Number, names),
)
heads = st.from_regex(r"[a-z][a-z0-9_]{0,7}", fullmatch=True)
floats = st.floats(allow_nan=False, allow_infinity=False)
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | floats | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(
    outputs=st.dictionaries(heads, st.tuples(heads, kinds), min_size=1, max_size=3),
    name=st.text(),
    size=st.integers(1, 4096),
    mean=st.tuples(floats, floats, floats),
    provenance=st.dictionaries(st.text(), plain, max_size=3),
)
def test_what_is_written_reads_back(outputs, name, size, mean, provenance):
    bundle = Bundle(
        name=name,
        size=size,
        mean=mean,
        std=(0.1, 0.2, 0.3),
        outputs={f"{head}.{output}": kind for head, (output, kind) in outputs.items()},
        heads={head: {"type": "classification", "loss_weight": 1.0} for head in outputs},
        data={"image": "image", "group": []},
        provenance=provenance,
    )
    again = Bundle.from_json(bundle.to_json())
    assert again == bundle
    assert list(again.outputs) == list(bundle.outputs)


@given(st.text() | plain.map(json.dumps))
def test_foreign_text_is_refused_in_words(text):
    with pytest.raises(BundleError) as caught:
        Bundle.from_json(text)
    assert caught.value.hint


def test_deeply_nested_text_is_refused():
    with pytest.raises(BundleError, match="not JSON"):
        Bundle.from_json("[" * 200_000)


@pytest.mark.parametrize("key", ["schema", "name", "input", "outputs", "heads", "data", "provenance"])
def test_a_missing_key_is_named(build_bundle, key):
    document = json.loads(build_bundle().to_json())
    del document[key]
    with pytest.raises(BundleError, match=f"lack the key {key}"):
        Bundle.from_json(json.dumps(document))


def test_a_newer_schema_asks_for_an_upgrade(build_bundle):
    document = json.loads(build_bundle().to_json()) | {"schema": 2}
    with pytest.raises(BundleError, match=r"schema 2, this dermtl reads 1.*upgrade"):
        Bundle.from_json(json.dumps(document))


@pytest.mark.parametrize(
    "change",
    [
        {"classes": 3},
        {"classes": [["nested"], 1]},
        {"kind": "hologram"},
        {"kind": ["category"]},
        {"surprise": 1},
        {"classes": []},
    ],
)
def test_a_kind_that_cannot_be_used_is_refused(build_bundle, change):
    document = json.loads(build_bundle().to_json())
    document["outputs"][0]["kind"] |= change
    with pytest.raises(BundleError):
        Bundle.from_json(json.dumps(document))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("input", "size"), 0),
        (("input", "size"), "224"),
        (("input", "size"), True),
        (("input", "size"), 10_000_000),
        (("input", "name"), "pixels"),
        (("input", "mean"), [0.5]),
        (("input", "std"), [1, "a", None]),
        (("outputs",), []),
        (("outputs", 0, "name"), "diagnosis"),
        (("outputs", 0, "name"), "extent.circle"),
        (("outputs", 0, "name"), "diagnosis.a/b"),
        (("outputs", 0, "head"), "other"),
        (("outputs", 0, "kind"), None),
        (("heads",), {}),
        (("heads",), []),
    ],
)
def test_values_that_do_not_fit_are_refused(build_bundle, place, value):
    document = json.loads(build_bundle().to_json())
    target = document
    for key in place[:-1]:
        target = target[key]
    target[place[-1]] = value
    with pytest.raises(BundleError):
        Bundle.from_json(json.dumps(document))


def test_it_is_read_from_a_file(model_path, build_bundle):
    assert read_bundle(model_path) == read_bundle(str(model_path)) == build_bundle()


def test_a_foreign_model_is_named(tmp_path, build_model):
    path = build_model(tmp_path / "foreign.onnx", metadata={"author": "somebody"})
    with pytest.raises(BundleError, match=r"foreign\.onnx: .*no dermtl metadata.*dermtl export"):
        read_bundle(path)


@pytest.mark.parametrize(
    ("output", "kind"),
    [
        ("diagnosis.probability", Category(("two", "classes"))),
        ("extent.circle", Mask(("red",))),
        ("outline.mask", Mask(("red", "green"))),
        ("outline.other", Mask(("red",))),
    ],
)
def test_metadata_that_belong_to_another_graph_are_refused(tmp_path, build_model, build_bundle, output, kind):
    outputs = {**build_bundle().outputs, output: kind}
    path = build_model(tmp_path / "model.onnx", bundle=build_bundle(outputs=outputs))
    with pytest.raises(BundleError, match=r"model\.onnx: .*its graph has"):
        read_bundle(path)


def test_a_blank_value_has_the_shape_of_the_kind():
    assert blank(Mask(("a", "b"))).shape == (2, 1, 1)
    assert blank(Circle()).dtype == np.float32
