"""Checks of the loss: finite, a sum over rows, and dependent on every part of the target."""

import torch
from torch import Tensor

from dermtl.kinds import Category
from dermtl.model.head import Head
from dermtl.testing.assertions import check
from dermtl.testing.head_under_test import NAME, HeadUnderTest, head_of


class LossChecks:
    """Checks of the head's loss."""

    subject: HeadUnderTest

    def test_loss_gives_named_finite_terms(self) -> None:
        """For a batch, one row, and extreme raw values the terms are named, finite, [n], and have a gradient."""
        raw, target = self._batch()
        for rows, scale in ((len(raw), 1.0), (1, 1.0), (len(raw), 1e2), (len(raw), 1e3)):
            values = (torch.randn_like(raw[:rows]) * (scale > 1) * scale + raw[:rows]).requires_grad_()
            terms = self._head().loss(values, target[:rows])
            check(terms, "loss gives no term")
            for name, term in terms.items():
                check(isinstance(name, str) and name, "a term of the loss has no name")
                check(
                    term.shape == (rows,),
                    f"term {name} has shape {list(term.shape)}, expected [{rows}]: what each row adds, not a mean",
                )
                worst = next((float(value) for value in term.detach() if not value.isfinite()), None)
                check(worst is None, f"term {name} is {worst} for raw values of about {scale:g}")
            (gradient,) = torch.autograd.grad(torch.stack([term.sum() for term in terms.values()]).sum(), values)
            check(gradient.isfinite().all(), f"the loss has no finite gradient for raw values of about {scale:g}")

    def test_weights_are_of_rows(self) -> None:
        """Weights name terms of the loss, are 0 or more, and the weight of a row is the same in any batch."""
        raw, target = self._batch()
        head = self._head()
        weights = head.weights(target)
        for name, weight in weights.items():
            check(name in head.loss(raw, target), f"weights name {name!r}, which is no term of the loss")
            check(weight.shape == (len(target),), f"weights of {name} have shape {list(weight.shape)}")
            check(bool((weight >= 0).all() and weight.isfinite().all()), f"weights of {name} are not all 0 or more")
            for rows in _subsets(len(target)):
                own = head.weights(target[rows])[name]
                check(bool(torch.allclose(own, weight[rows])), f"weights of {name} depend on the rows beside")

    def test_rows_add_up(self) -> None:
        """Rows apart: the value of a row does not depend on other rows. Rows together: their order does not matter."""
        raw, target = self._batch()
        head = self._head()
        apart = head.rows == "apart"
        subsets = _subsets(len(raw)) if apart else [torch.arange(len(raw)).flip(0)]
        with torch.no_grad():
            whole = head.loss(raw, target)
            for rows in subsets:
                for name, values in head.loss(raw[rows], target[rows]).items():
                    worst = float((values - whole[name][rows]).abs().max())
                    check(
                        worst <= 1e-4 * max(1e-6, float(whole[name].abs().max())),
                        f"term {name}: a row adds another value (by {worst:.3g}) "
                        + (
                            "among other rows; say rows = 'together' if rows see one another"
                            if apart
                            else "in another order"
                        ),
                    )
            if not apart:
                alike = head.loss(raw[:1].expand_as(raw).clone(), target[:1].expand_as(target).clone())
                for name, values in alike.items():
                    check(values.isfinite().all(), f"term {name} is not finite if all rows are alike")

    def test_loss_leaves_its_arguments(self) -> None:
        """The loss changes neither raw nor target, and gives the same again."""
        raw, target = self._batch()
        first, second = raw.clone(), target.clone()
        once = self._loss(raw, target)
        check(torch.equal(raw, first) and torch.equal(target, second), "loss changes raw or target in place")
        check(once == self._loss(raw, target), "loss gives another value for the same rows")

    def test_loss_hears_every_part_of_the_target(self) -> None:
        """Every part of the target changes the loss if it is exchanged between records."""
        raw, target = self._batch()
        known = self._loss(raw, target)
        for part, region in _parts(target).items():
            heard, differs = False, False
            for shift in range(1, len(target)):
                moved = target.clone()
                moved[(slice(None), *region)] = target.roll(shift, 0)[(slice(None), *region)]
                if torch.equal(moved, target):
                    continue
                differs = True
                if not _near(known, self._loss(raw, moved), 1e-7):
                    heard = True
                    break
            check(heard or not differs, f"the loss ignores {part} of the target")

    def test_loss_takes_empty_targets(self) -> None:
        """A target of zeros, such as an empty outline or the first class, has a finite loss and gradient."""
        raw, target = self._batch()
        values = raw.clone().requires_grad_()
        # Where no zero occurs it is no value of this kind; then all alike is the nearest to it.
        empty = torch.zeros_like(target) if (target == 0).any() else target[:1].expand_as(target).clone()
        total = torch.stack([term.sum() for term in self._head().loss(values, empty).values()]).sum()
        check(total.isfinite(), f"the loss of an empty target is {float(total.detach())}")
        (gradient,) = torch.autograd.grad(total, values)
        check(gradient.isfinite().all(), "the loss of an empty target has no finite gradient")

    def test_soft_targets_agree_with_hard_ones(self) -> None:
        """If the loss takes shares of classes, a share of one gives the loss of the class itself."""
        head, kind = self._head(), self.subject.config.target()
        if not (type(head).soft_targets and isinstance(kind, Category)):
            return
        raw, target = self._batch()
        for row in range(len(raw)):
            shares = torch.nn.functional.one_hot(target[row : row + 1], len(kind.classes)).float()
            hard, soft = (_quotient(head, raw[row : row + 1], found) for found in (target[row : row + 1], shares))
            check(_near(hard, soft), f"a share of one gives {soft:.6g}, the class itself {hard:.6g}")

    def _head(self) -> Head:
        return head_of(self.subject.networks["test_resnet"].eval())

    def _batch(self) -> tuple[Tensor, Tensor]:
        network = self.subject.networks["test_resnet"].eval()
        torch.manual_seed(0)
        with torch.no_grad():
            raw = network(self.subject.images[:8])[NAME].float()
        return raw + 0.1 * torch.randn_like(raw), self.subject.targets[:8].clone()

    def _loss(self, raw: Tensor, target: Tensor) -> float:
        return _quotient(self._head(), raw, target)


def _quotient(head: Head, raw: Tensor, target: Tensor) -> float:
    """The head's loss of a batch: every term's numerator over its denominator."""
    with torch.no_grad():
        weights = head.weights(target)
        found = 0.0
        for name, values in head.loss(raw, target).items():
            denominator = float(weights[name].double().sum()) if name in weights else len(values)
            found += float(values.double().sum()) / denominator if denominator else 0.0
        return found


def _subsets(num: int) -> list[Tensor]:
    """Each row alone, both halves, and every second row."""
    half = num // 2
    return [
        *(torch.tensor([row]) for row in range(num)),
        torch.arange(half),
        torch.arange(half, num),
        torch.arange(0, num, 2),
    ]


def _near(one: float, other: float, limit: float = 1e-4) -> bool:
    return abs(one - other) <= limit * max(abs(one), abs(other), 1e-6)


def _parts(target: Tensor) -> dict[str, tuple[slice | int, ...]]:
    """The parts that must change the loss: a scalar, each number of a short vector, four quarters of a raster."""
    if target.ndim == 1:
        return {"all": ()}
    if target.ndim == 2:
        return {f"number {index}": (index,) for index in range(target.shape[1])}
    height, width = target.shape[-2] // 2, target.shape[-1] // 2
    if target.ndim == 3 and target.shape[-1] <= 4:  # points
        return {f"number {i}, {j}": (i, j) for i in range(target.shape[1]) for j in range(target.shape[2])}
    halves = {"upper": slice(None, height), "lower": slice(height, None)}
    sides = {"left": slice(None, width), "right": slice(width, None)}
    lead = [slice(None)] * (target.ndim - 3)
    return {
        f"the {h} {s} quarter": (*lead, rows, columns) for h, rows in halves.items() for s, columns in sides.items()
    }
