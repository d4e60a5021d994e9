"""Checks of the loss: finite, a mean over rows, and aware of all that the target says."""

import torch
from torch import Tensor

from dermtl.kinds import Category
from dermtl.model.head import Head
from dermtl.testing.requirement import require
from dermtl.testing.subject import NAME, Subject, head_of


class LossChecks:
    """Of the head's loss."""

    subject: Subject

    def test_loss_gives_named_finite_terms(self) -> None:
        """For a batch, for one row, and for wild raw values the terms are named scalars, finite, with a gradient."""
        raw, target = self._batch()
        for rows, scale in ((len(raw), 1.0), (1, 1.0), (len(raw), 1e2), (len(raw), 1e3)):
            values = (torch.randn_like(raw[:rows]) * (scale > 1) * scale + raw[:rows]).requires_grad_()
            terms = self._head().loss(values, target[:rows])
            require(terms, "loss gives no term")
            for name, term in terms.items():
                require(isinstance(name, str) and name, "a term of the loss has no name")
                require(term.shape == (), f"term {name} has shape {list(term.shape)}, expected a scalar")
                require(term.isfinite(), f"term {name} is {float(term.detach())} for raw values of about {scale:g}")
            (gradient,) = torch.autograd.grad(torch.stack(list(terms.values())).sum(), values)
            require(gradient.isfinite().all(), f"the loss has no finite gradient for raw values of about {scale:g}")

    def test_loss_is_a_mean_over_rows(self) -> None:
        """The same rows twice have the same loss, and the order of rows does not matter."""
        raw, target = self._batch()
        once = self._loss(raw, target)
        twice = self._loss(torch.cat([raw, raw]), torch.cat([target, target]))
        require(_near(once, twice), f"rows given twice change the loss from {once:.6g} to {twice:.6g}: not a mean")
        back = self._loss(raw.flip(0), target.flip(0))
        require(_near(once, back), f"rows in another order change the loss from {once:.6g} to {back:.6g}")

    def test_loss_leaves_its_arguments(self) -> None:
        """The loss changes neither raw nor target, and gives the same again."""
        raw, target = self._batch()
        first, second = raw.clone(), target.clone()
        once = self._loss(raw, target)
        require(torch.equal(raw, first) and torch.equal(target, second), "loss changes raw or target in place")
        require(once == self._loss(raw, target), "loss gives another value for the same rows")

    def test_loss_hears_every_part_of_the_target(self) -> None:
        """Every part of the target has a say: exchanged between records, it changes the loss."""
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
            require(heard or not differs, f"the loss ignores {part} of the target")

    def test_loss_takes_empty_targets(self) -> None:
        """A target of zeros, such as an empty outline or the first class, has a finite loss and gradient."""
        raw, target = self._batch()
        values = raw.clone().requires_grad_()
        # Where no zero occurs it is no value of this kind; then all alike is the nearest to it.
        empty = torch.zeros_like(target) if (target == 0).any() else target[:1].expand_as(target).clone()
        total = torch.stack(list(self._head().loss(values, empty).values())).sum()
        require(total.isfinite(), f"the loss of an empty target is {float(total.detach())}")
        (gradient,) = torch.autograd.grad(total, values)
        require(gradient.isfinite().all(), "the loss of an empty target has no finite gradient")

    def test_soft_targets_agree_with_hard_ones(self) -> None:
        """Where shares of classes are taken, a share of one is the class itself."""
        head, kind = self._head(), self.subject.config.target()
        if not (type(head).soft_targets and isinstance(kind, Category)):
            return
        raw, target = self._batch()
        for row in range(len(raw)):
            shares = torch.nn.functional.one_hot(target[row : row + 1], len(kind.classes)).float()
            total = torch.stack(list(head.loss(raw[row : row + 1], shares).values())).sum()
            require(total.isfinite(), f"the loss of shares is {float(total.detach())}")

    def _head(self) -> Head:
        return head_of(self.subject.networks["test_resnet"].eval())

    def _batch(self) -> tuple[Tensor, Tensor]:
        network = self.subject.networks["test_resnet"].eval()
        torch.manual_seed(0)
        with torch.no_grad():
            raw = network(self.subject.images[:8])[NAME].float()
        return raw + 0.1 * torch.randn_like(raw), self.subject.targets[:8].clone()

    def _loss(self, raw: Tensor, target: Tensor) -> float:
        with torch.no_grad():
            return float(torch.stack(list(self._head().loss(raw, target).values())).sum().double())


def _near(one: float, other: float, limit: float = 1e-4) -> bool:
    return abs(one - other) <= limit * max(abs(one), abs(other), 1e-6)


def _parts(target: Tensor) -> dict[str, tuple[slice | int, ...]]:
    """The parts that must be heard: the whole of a scalar, each number of a short vector, four quarters of a raster."""
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
