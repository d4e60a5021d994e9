"""Every preset runs with no more than data and heads, and says to timm what it means to say."""

from pathlib import Path

import pytest
import torch
from timm.optim import create_optimizer_v2
from timm.scheduler import create_scheduler_v2

from dermtl.config.experiment import Experiment
from dermtl.config.extends import PRESETS
from dermtl.config.load import load_experiment
from dermtl.plugins.plan import plan_heads

NAMES = sorted(path.stem for path in PRESETS.glob("*.yaml"))
ESTEVA = ("esteva2017", "esteva2017_tf016")


def load(tmp_path: Path, name: str, *overrides: str) -> Experiment:
    path = tmp_path / "own.yaml"
    path.write_text(f"extends: {name}\ndata: {{root: x}}\nheads: {{diagnosis: {{type: classification}}}}\n")
    experiment, source = load_experiment(path, overrides)
    assert plan_heads(experiment, source)
    return experiment


def rates(experiment: Experiment, epochs: list[int]) -> list[float]:
    """The first stage's rate in these epochs, as timm gives it."""
    stage = experiment.training.stages[0]
    parameters = [torch.nn.Parameter(torch.zeros(2, 2))]
    optimiser = create_optimizer_v2(parameters, opt=stage.optimizer, lr=stage.lr, **stage.optimizer_options)
    schedule, _ = create_scheduler_v2(
        optimiser,
        sched=stage.schedule,
        num_epochs=stage.epochs,
        step_on_epochs=False,
        updates_per_epoch=10,
        **stage.schedule_options,
    )
    found = []
    for epoch in epochs:
        schedule.step_update(epoch * 10)
        found.append(optimiser.param_groups[0]["lr"])
    return found


def test_all_are_there_and_stand_beside_the_experiments():
    assert set(NAMES) == {
        "esteva2017", "esteva2017_tf016", "five_step", "feature_extraction", "linear_probe_then_finetune",
        "from_scratch", "recommended",
    }  # fmt: skip
    beside = Path(__file__).parents[2] / "configs" / "presets"
    if beside.is_dir():  # a link, which some systems do not keep
        assert sorted(path.stem for path in beside.glob("*.yaml")) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_data_and_heads_are_enough(tmp_path, name):
    experiment = load(tmp_path, name)
    assert experiment.name == name
    assert load(tmp_path, name, "name=own", "backbone.name=resnet18").backbone.name == "resnet18"


@pytest.mark.parametrize(
    ("name", "trained", "pretrained"),
    [
        ("esteva2017", ["all"], True),
        ("esteva2017_tf016", ["all"], True),
        ("five_step", ["head", "last:4"], True),
        ("feature_extraction", ["head"], True),
        ("linear_probe_then_finetune", ["head", "all"], True),
        ("from_scratch", ["all"], False),
        ("recommended", ["last:5"], True),
    ],
)
def test_what_they_train(tmp_path, name, trained, pretrained):
    experiment = load(tmp_path, name)
    assert [stage.train for stage in experiment.training.stages] == trained
    assert experiment.backbone.pretrained is pretrained
    for first, second in zip(experiment.training.stages, experiment.training.stages[1:], strict=False):
        assert second.backbone_lr is not None
        assert second.backbone_lr < second.lr <= first.lr


@pytest.mark.parametrize("name", ESTEVA)
def test_esteva_is_as_published(tmp_path, name):
    experiment = load(tmp_path, name)
    (stage,) = experiment.training.stages
    assert experiment.backbone.image_size == 299
    assert (stage.layer_decay, stage.backbone_lr, stage.warmup_epochs, stage.lr) == (1, None, 0, 0.001)
    assert experiment.training.augmentation == [{"InscribedRotation": {"p": 1.0}}, {"VerticalFlip": {"p": 0.5}}]
    parameters = [torch.nn.Parameter(torch.zeros(2, 2))]
    optimiser = create_optimizer_v2(parameters, opt=stage.optimizer, lr=stage.lr, **stage.optimizer_options)
    (group,) = optimiser.param_groups
    assert type(optimiser).__name__ == "RMSpropTF"
    told = {key: group[key] for key in ("alpha", "momentum", "eps", "lr_in_momentum", "lr", "weight_decay")}
    assert told == {
        "alpha": 0.9, "momentum": 0.9, "eps": 0.1, "lr_in_momentum": True, "lr": 0.001, "weight_decay": 0,
    }  # fmt: skip


@pytest.mark.parametrize(("name", "factor"), [("esteva2017", 1 / 16), ("esteva2017_tf016", 0.16)])
def test_the_rate_falls_every_30_epochs(tmp_path, name, factor):
    found = rates(load(tmp_path, name), [0, 29, 30, 59, 60])
    assert found == pytest.approx([1e-3, 1e-3, 1e-3 * factor, 1e-3 * factor, 1e-3 * factor**2])


def test_both_readings_differ_in_the_factor_alone(tmp_path):
    first, second = (load(tmp_path, name, "name=same").model_dump() for name in ESTEVA)
    for document in (first, second):
        document["training"]["stages"][0]["schedule_options"].pop("decay_rate")
    assert first == second


@pytest.mark.slow
@pytest.mark.parametrize("name", ["esteva2017", "five_step"])
def test_a_preset_trains(tmp_path, drawn, name):
    """On a tiny backbone, one epoch a stage."""
    from dermtl.training.train import train

    path = tmp_path / "own.yaml"
    heads = "{diagnosis: {type: classification}, extent: {type: circle}}"
    path.write_text(f"extends: {name}\ndata: {{root: {drawn}}}\nheads: {heads}\n")
    tiny = ["backbone.name=test_resnet", "backbone.pretrained=false", "backbone.image_size=48", "training.workers=0"]
    stages = load_experiment(path)[0].training.stages
    epochs = [f"training.stages.{index}.epochs=1" for index in range(len(stages))]
    run = train(path, [*tiny, *epochs, "training.batch_size=8", "training.accelerator=cpu"], run=tmp_path / "run")
    assert run.facts["state"] == "finished"
    stored = run.config.read_text()
    assert "extends" not in stored
    assert "test_resnet" in stored
