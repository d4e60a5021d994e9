"""Losses with weights are those of a plain loop over the whole batch: in parts, in any batch size, in any order.

The witness is torch's own ``cross_entropy(weight=...)`` on the whole batch or on all validation records at once.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F

from dermtl.config.training import Training
from dermtl.errors import ConfigError, PluginContract
from dermtl.model.head import FeatureInfo, Features, Head
from dermtl.model.network import Network
from dermtl.plugins.plan import HeadPlan
from dermtl.runs.folder import RunFolder
from dermtl.training.distributed.loss_averaging import denominator_of, sum_denominators
from dermtl.training.distributed.process_group import ProcessGroup
from dermtl.training.loop.loss import Objective
from dermtl.training.loop.loss_module import LossModule
from dermtl.training.loop.record_losses import RecordLosses
from dermtl.training.loop.step import Step

Plan = Callable[..., tuple[dict[str, HeadPlan], Network]]
Train = Callable[..., RunFolder]
WEIGHTED = "heads.diagnosis.class_weights={melanoma: 9, nevus: 0.3}"


@pytest.fixture(scope="module")
def weighted(plan_tiny: Plan) -> tuple[Network, Tensor]:
    """A network whose diagnosis has class weights, and the weights in the order of its classes."""
    plans, network = plan_tiny((WEIGHTED,))
    config = plans["diagnosis"].config
    return network, torch.tensor([{"melanoma": 9.0, "nevus": 0.3}.get(name, 1.0) for name in config.classes])


def drawn(num: int = 16) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    return torch.randn(num, 3, generator=generator), torch.randint(0, 3, (num,), generator=generator)


@pytest.mark.parametrize("num_parts", [1, 2, 5, 16])
def test_the_gradient_of_parts_is_torchs_of_the_whole(weighted: tuple[Network, Tensor], num_parts: int) -> None:
    network, weight = weighted
    raw, target = drawn()
    whole = raw.clone().requires_grad_()
    expected = F.cross_entropy(whole, target, weight=weight)
    expected.backward()
    objective = Objective(network, {"diagnosis": 1.0, "extent": 1.0})
    parts = [
        {"diagnosis": (torch.arange(len(rows)), target[rows])} for rows in torch.arange(16).tensor_split(num_parts)
    ]
    totals = sum_denominators([objective.denominators(part) for part in parts])
    given = raw.clone().requires_grad_()
    total = 0.0
    for rows, part in zip(torch.arange(16).tensor_split(num_parts), parts, strict=True):
        loss, _ = objective({"diagnosis": given[rows]}, part, totals)
        assert loss is not None
        loss.backward()
        total += float(loss.detach())
    assert total == pytest.approx(float(expected.detach()), rel=1e-6)
    torch.testing.assert_close(given.grad, whole.grad, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("batch_size", [1, 4, 7, 64])
@pytest.mark.parametrize("order", ["as it is", "by class", "reversed"])
def test_the_validation_loss_is_torchs_over_all_records(
    weighted: tuple[Network, Tensor], batch_size: int, order: str
) -> None:
    network, weight = weighted
    raw, target = drawn(30)
    expected = float(F.cross_entropy(raw, target, weight=weight))
    rows = {"as it is": torch.arange(30), "by class": target.argsort(stable=True), "reversed": torch.arange(30).flip(0)}
    losses = RecordLosses(Objective(network, {"diagnosis": 2.0, "extent": 1.0}))
    for part in rows[order].split(batch_size):  # type: ignore[no-untyped-call]
        losses.add(part.tolist(), {"diagnosis": raw[part]}, {"diagnosis": (torch.arange(len(part)), target[part])})
    found = losses.means(lambda own: [own])
    assert found["diagnosis.loss.cross_entropy"] == pytest.approx(expected, rel=1e-6)
    assert found["loss"] == found["diagnosis.loss"] == pytest.approx(2 * expected, rel=1e-6)
    single = losses.by_record(lambda own: [own])
    assert np.mean(list(single.values())) == pytest.approx(2 * expected, rel=1e-6)
    torch_rows = F.cross_entropy(raw, target, weight=weight, reduction="none") * 30 / weight[target].sum()
    assert [single[index] for index in range(30)] == pytest.approx((2 * torch_rows).tolist(), rel=1e-5)


@pytest.mark.parametrize("loss", ["cross_entropy", "focal"])
def test_weights_hold_under_accumulation(train_tiny: Train, tmp_path: Path, loss: str) -> None:
    """A batch computed row by row moves the weights as the whole batch does, and not as without class weights."""
    shared = (
        "training.stages=[{train: head, epochs: 1, lr: 1e-1, optimizer: sgd}]",
        "training.batch_size=8",
        "heads.diagnosis.dropout=0",
        "heads.extent.dropout=0",
        f"heads.diagnosis.loss={loss}",
    )
    whole, parts, plain = (
        load_file(train_tiny(tmp_path / name, *shared, *more).last)
        for name, more in {
            "whole": (WEIGHTED,),
            "parts": (WEIGHTED, "training.accumulate=8"),
            "plain": ("training.accumulate=8",),
        }.items()
    )
    name = "heads.diagnosis.layers.1.weight"
    torch.testing.assert_close(whole[name], parts[name], rtol=1e-4, atol=1e-6)
    assert (whole[name] - plain[name]).abs().max() > 100 * (whole[name] - parts[name]).abs().max()


class PairHead(Head):
    """Supervised contrastive (Khosla et al. 2020): every row is compared with all others."""

    rows = "together"

    def __init__(self) -> None:
        super().__init__(None, FeatureInfo(4, (), (), 32))

    def forward(self, features: Features) -> Tensor:
        return features.pooled

    def loss(self, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        like = F.normalize(raw, dim=1) @ F.normalize(raw, dim=1).T / 0.1
        log_p = like - like.exp().sum(1, keepdim=True).log()
        same = (target[:, None] == target[None]).float()
        return {"contrast": -(log_p * same).sum(1) / same.sum(1)}

    def activate(self, raw: Tensor) -> dict[str, Tensor]:
        return {}


class TwoTerms(PairHead):
    """Two terms with denominators of their own; a row may weigh nothing in one of them."""

    rows = "apart"

    def loss(self, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
        return {"near": raw[:, 0] ** 2 * (target == 1), "far": raw[:, 1] ** 2}

    def weights(self, target: Tensor) -> Mapping[str, Tensor]:
        return {"near": (target == 1).float()}


def of(head: Head) -> Objective:
    return Objective(Network(nn.Identity(), {"pair": head}), {"pair": 1.0})  # type: ignore[arg-type]


def test_terms_have_denominators_of_their_own_and_an_empty_one_leaves_its_term_out() -> None:
    raw = torch.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    target = torch.tensor([1, 0, 1])
    objective = of(TwoTerms())
    total, sums = objective({"pair": raw}, {"pair": (torch.arange(3), target)})
    assert float(total) == pytest.approx((1 + 25) / 2 + (4 + 16 + 36) / 3)
    assert {name: float(value) for name, value in sums.items()} == {"pair.loss.near": 26.0, "pair.loss.far": 56.0}
    totals = objective.denominators({"pair": (torch.arange(3), target)})["pair"]
    assert (denominator_of("near", totals), denominator_of("far", totals)) == (2.0, 3.0)
    none, _ = objective({"pair": raw}, {"pair": (torch.arange(3), torch.zeros(3, dtype=torch.int64))})
    assert float(none) == pytest.approx(56 / 3)


def test_rows_that_see_one_another_are_validated_at_once() -> None:
    """In batches, sorted by class, a contrast has another value: then a collapsed embedding looks like the best."""
    generator = torch.Generator().manual_seed(0)
    raw, target = torch.randn(24, 4, generator=generator), torch.arange(24) // 4
    losses = RecordLosses(of(PairHead()))
    for part in torch.arange(24).split(5):  # type: ignore[no-untyped-call]
        losses.add(part.tolist(), {"pair": raw[part]}, {"pair": (torch.arange(len(part)), target[part])})
    expected = PairHead().loss(raw, target)["contrast"].mean()
    assert losses.means(lambda own: [own])["loss"] == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.parametrize(
    ("changes", "words"), [({"accumulate": 2}, "accumulate: 2"), ({"mix": {"mixup": 0.2}}, "training.mix")]
)
def test_rows_that_see_one_another_are_never_parted(changes: dict[str, object], words: str) -> None:
    training = Training.model_validate({"stages": [{"epochs": 1}], "accelerator": "cpu", **changes})
    with pytest.raises(ConfigError, match=f"{words}.*the loss of head 'pair'"):
        Step(training, ProcessGroup(training), LossModule(nn.Identity(), of(PairHead())), None, [])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (torch.tensor(1.0), r"shape \(\), expected \(3,\): what each row adds"),
        (torch.ones(3, 2), r"shape \(3, 2\)"),
        (1.0, "shape float"),
    ],
)
def test_what_is_no_number_a_row_is_refused(values: object, words: str) -> None:
    class Odd(PairHead):
        def loss(self, raw: Tensor, target: Tensor) -> dict[str, Tensor]:
            return {"odd": values}  # type: ignore[dict-item]

    with pytest.raises(PluginContract, match=words) as caught:
        of(Odd())({"pair": torch.zeros(3, 4)}, {"pair": (torch.arange(3), torch.zeros(3))})
    assert "head 'pair'" in str(caught.value)


def test_weights_of_a_term_that_the_loss_lacks_are_refused() -> None:
    class Odd(PairHead):
        def weights(self, target: Tensor) -> Mapping[str, Tensor]:
            return {"contrasts": torch.ones(len(target))}

    with pytest.raises(PluginContract, match="its weights name 'contrasts', its loss contrast"):
        of(Odd())({"pair": torch.ones(3, 4)}, {"pair": (torch.arange(3), torch.zeros(3))})
