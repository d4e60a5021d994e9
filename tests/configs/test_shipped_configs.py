"""Every experiment in configs/ parses, and where its data are at hand, they can be read and split."""

from pathlib import Path

import pytest

from dermtl.config.load import load_experiment
from dermtl.data.manifest.preflight import preflight
from dermtl.data.manifest.read import read_manifest
from dermtl.data.manifest.split import split_records
from dermtl.kinds import Category
from dermtl.plugins.plan import plan_heads

CONFIGS = sorted((Path(__file__).parents[2] / "configs").glob("*.yaml"))
SHARED = Path(__file__).parents[2].parent / "shared"


@pytest.fixture(autouse=True)
def folders(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the configs' ``${...}`` point."""
    monkeypatch.setenv("DERMTL_DATA", str(SHARED / "data"))
    monkeypatch.setenv("DERMTL_WEIGHTS", str(SHARED / "weights"))


@pytest.fixture(params=CONFIGS, ids=lambda path: path.stem)
def config(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def prepared(config: Path, drawn: Path):
    """Experiment, plans and records; the demo's pictures are drawn anew."""
    overrides = [f"data.root={drawn}"] if config.stem == "demo" else []
    experiment, source = load_experiment(config, overrides)
    if not (experiment.data.root / experiment.data.manifest).exists():
        pytest.skip(f"needs the pictures in {experiment.data.root}")
    plans = plan_heads(experiment, source)
    columns = (plan.target.column for plan in plans.values() if isinstance(plan.target, Category))
    return experiment, plans, split_records(read_manifest(experiment.data), experiment.data, next(columns, None))


def test_there_are_some():
    assert "demo" in {path.stem for path in CONFIGS}


def test_parses_and_plans(config):
    experiment, source = load_experiment(config)
    plans = plan_heads(experiment, source)
    assert plans.keys() == experiment.heads.keys()
    assert all(plan.outputs for plan in plans.values())
    assert experiment.name == config.stem.replace("-", "_")


def test_a_typo_in_it_would_be_found(config, tmp_path):
    """The test above must be able to fail."""
    text = config.read_text()
    assert "\nbackbone:" in text
    (tmp_path / config.name).write_text(text.replace("\nbackbone:", "\nbackbone_:"))
    with pytest.raises(Exception, match="backbone"):
        load_experiment(tmp_path / config.name)


def test_no_group_crosses(prepared):
    experiment, _, records = prepared
    assert {record.split for record in records} == {"train", "val", "test"}
    sides = {}
    for record in records:
        assert sides.setdefault(record.group, record.split) == record.split
    if experiment.data.group is not None:  # and the groups are those of the named columns
        for column in experiment.data.group:
            values = {}
            for record in records:
                value = record.text(column)
                assert value is None or values.setdefault(value, record.split) == record.split


@pytest.mark.release
def test_every_picture_and_annotation_can_be_read(prepared):
    _, plans, records = prepared
    fitted = {name: plan.fitted([r for r in records if r.split == "train"]) for name, plan in plans.items()}
    preflight(records, {name: plan.target for name, plan in fitted.items()})


@pytest.mark.release
def test_the_backbone_exists_and_its_stages_select(config, drawn):
    """Without weights: whether the name, the options and the stages fit timm's model."""
    from dermtl.model.network import build_network
    from dermtl.training.optim.layer_groups import backbone_groups, trainable_groups

    experiment, source = load_experiment(config)
    plans = plan_heads(experiment, source)
    records = [r for r in read_manifest(experiment.data)] if experiment.data.root.exists() else []
    if any(isinstance(plan.target, Category) and not plan.target.classes for plan in plans.values()):
        if not records:
            root = drawn if config.stem == "demo" else None
            if root is None:
                pytest.skip(f"needs the classes in {experiment.data.root}")
            records = read_manifest(experiment.data.model_copy(update={"root": root}))
        plans = {name: plan.fitted(records) for name, plan in plans.items()}
    network = build_network(experiment.backbone, plans, pretrained=False)
    groups = backbone_groups(network)
    for stage in experiment.training.stages:
        trainable_groups(stage, groups)
