"""The loss of several heads on a batch of which any record may lack any target."""

from collections.abc import Callable

import pytest
import torch

from dermtl.model.network import Network
from dermtl.plugins.plan import HeadPlan
from dermtl.training.distributed.loss_averaging import RunningMeans
from dermtl.training.loop.loss import Objective

Plan = Callable[..., tuple[dict[str, HeadPlan], Network]]
RAW_CIRCLE = torch.tensor([[0.5, 0.5, 0.5], [0.1, 0.2, 0.3], [0.9, 0.1, 0.4], [0.3, 0.3, 0.3]])


@pytest.fixture(scope="module")
def network(plan_tiny: Plan) -> Network:
    return plan_tiny()[1]


def batch() -> tuple[dict[str, torch.Tensor], dict[str, tuple[torch.Tensor, torch.Tensor]]]:
    raw = {
        "diagnosis": torch.randn(4, 3, generator=torch.Generator().manual_seed(0), requires_grad=True),
        "extent": RAW_CIRCLE.clone().requires_grad_(),
    }
    targets = {
        "diagnosis": (torch.tensor([0, 2]), torch.tensor([1, 0])),
        "extent": (torch.tensor([1, 2, 3]), torch.tensor([[24.0, 24.0, 12.0]] * 3)),
    }
    return raw, targets


def test_only_rows_with_a_target_count(network: Network) -> None:
    raw, targets = batch()
    total, _ = Objective(network, {"diagnosis": 1.0, "extent": 1.0})(raw, targets)
    assert total is not None
    total.backward()
    assert (raw["diagnosis"].grad.abs().sum(dim=1) > 0).tolist() == [True, False, True, False]
    assert (raw["extent"].grad.abs().sum(dim=1) > 0).tolist() == [False, True, True, True]


def test_a_row_without_a_target_changes_nothing(network: Network) -> None:
    objective = Objective(network, {"diagnosis": 1.0, "extent": 1.0})
    raw, targets = batch()
    total, _ = objective(raw, targets)
    other = {name: value.detach().clone() for name, value in raw.items()}
    other["diagnosis"][1] = 1e6
    other["extent"][0] = float("nan")
    changed, _ = objective(other, targets)
    assert torch.equal(total, changed)


def test_weights_scale_the_sum_and_not_the_terms(network: Network) -> None:
    raw, targets = batch()
    found = {}
    for weights in ((1.0, 1.0), (3.0, 1.0), (1.0, 0.5)):
        names = dict(zip(("diagnosis", "extent"), weights, strict=True))
        total, terms = Objective(network, names)(raw, targets)
        assert total is not None
        found[weights] = float(total.detach())
        by_head = {
            name: sum(float(value) for term, value in terms.items() if term.startswith(f"{name}.")) / len(rows)
            for name, (rows, _) in targets.items()
        }
        assert float(total.detach()) == pytest.approx(sum(names[name] * by_head[name] for name in names))
    assert len(set(found.values())) == 3


def test_a_head_without_a_target_is_left_out(network: Network) -> None:
    raw, targets = batch()
    total, terms = Objective(network, {"diagnosis": 1.0, "extent": 1.0})(raw, {"extent": targets["extent"]})
    assert total is not None
    assert terms
    assert all(name.startswith("extent.loss.") for name in terms)


def test_a_batch_without_any_target_has_no_loss(network: Network) -> None:
    raw, _ = batch()
    assert Objective(network, {"diagnosis": 1.0, "extent": 1.0})(raw, {}) == (None, {})


def test_half_precision_is_lifted_before_the_loss(network: Network) -> None:
    raw, targets = batch()
    objective = Objective(network, {"diagnosis": 1.0, "extent": 1.0})
    halves = {name: value.detach().to(torch.bfloat16) for name, value in raw.items()}
    total, _ = objective(halves, targets)
    exact, _ = objective({name: value.float() for name, value in halves.items()}, targets)
    assert total is not None
    assert total.dtype == torch.float32
    assert torch.equal(total, exact)


def test_means_are_quotients_of_sums_not_means_of_batches() -> None:
    means = RunningMeans()
    means.add("a", 3.0, 3)
    means.add("a", 5.0, 1)
    means.add("b", 5.0, 0)
    assert means.values() == {"a": 2.0}
    again = RunningMeans(means.sums, means.counts)
    again.add("a", 8.0, 4)
    assert again.values() == {"a": 2.0}
    assert means.counts["a"] == 4
    assert RunningMeans().values() == {}
