"""Checks of the torch module: shapes on three families of backbones, outputs as declared, every parameter in use."""

import torch
from torch import Tensor

from dermtl.kinds import Category, Kind, Mask, Tags
from dermtl.model.network import Network
from dermtl.testing.assertions import check
from dermtl.testing.head_under_test import BACKBONES, NAME, SIZE, HeadUnderTest, head_of

_STEPS = 160
_FALLEN = 0.5  # share of the first loss that must be undercut


class LayerChecks:
    """Checks of the head's layers and activation."""

    subject: HeadUnderTest

    def test_shapes_on_every_family(self) -> None:
        """On a CNN, a VGG and a ViT, for 1 and 3 pictures, raw has a row for each picture; outputs are as declared."""
        for backbone, network in self.subject.networks.items():
            network.eval()
            for num in (1, 3):
                with torch.no_grad():
                    raw = network(self.subject.images[:num])
                    outputs = network.activate(raw)
                check(raw[NAME].shape[0] == num, f"{backbone}: raw has {raw[NAME].shape[0]} rows for {num} pictures")
                self._check_declared(backbone, outputs, num)

    def test_training_takes_small_batches(self) -> None:
        """Training mode takes 2 and 3 pictures."""
        for backbone in BACKBONES:
            network = self.subject.network(backbone)
            for num in (2, 3):
                raw = network(self.subject.images[:num])[NAME]
                check(raw.shape[0] == num, f"{backbone}: raw has {raw.shape[0]} rows for {num} pictures in training")

    def test_outputs_are_what_their_kinds_say(self) -> None:
        """Probabilities lie in 0..1 and sum to one, all is finite and float32, for raw values of any size."""
        network = self.subject.networks["test_resnet"].eval()
        with torch.no_grad():
            raw = network(self.subject.images)[NAME]
            for scale in (1.0, 1e2, 1e4):
                for name, value in network.activate({NAME: torch.randn_like(raw) * scale + raw}).items():
                    check(value.dtype == torch.float32, f"{name}: activate gives {value.dtype}, expected float32")
                    check(value.isfinite().all(), f"{name}: is not finite for raw values of about {scale:g}")
                    self._check_values(name, self.subject.plan.outputs[name], value)

    def test_forward_is_deterministic(self) -> None:
        """In eval mode the same pictures give the same outputs, to the bit."""
        network = self.subject.networks["test_resnet"].eval()
        with torch.no_grad():
            once, twice = (network.activate(network(self.subject.images[:3])) for _ in range(2))
        for name, value in once.items():
            check(torch.equal(value, twice[name]), f"{name}: differs between two passes in eval mode")

    def test_pictures_do_not_see_one_another(self) -> None:
        """In eval mode a picture's outputs do not depend on the others of its batch."""
        for backbone, network in self.subject.networks.items():
            network.eval()
            with torch.no_grad():
                alone = network.activate(network(self.subject.images[:1]))
                together = network.activate(network(self.subject.images[:4]))
            for name, value in alone.items():
                scale = max(1.0, float(value.abs().max()))
                off = float((together[name][:1] - value).abs().max()) / scale
                check(off < 1e-3, f"{backbone}: {name} of a picture changes by {off:.2g} with the others of its batch")

    def test_every_parameter_learns(self) -> None:
        """The loss has a gradient for every parameter of the head, and for the backbone."""
        for backbone in BACKBONES:
            network = self.subject.network(backbone)
            loss = _loss(network, self.subject.images[:8], self.subject.targets[:8])
            loss.backward()  # type: ignore[no-untyped-call]
            for name, parameter in head_of(network).named_parameters():
                has = parameter.grad is not None and bool(parameter.grad.abs().sum() > 0)
                check(has, f"{backbone}: the head's parameter {name} has no gradient")
            trunk = [p for p in network.backbone.parameters() if p.grad is not None and p.grad.abs().sum() > 0]
            check(trunk, f"{backbone}: no gradient reaches the backbone")

    def test_overfits_a_batch(self) -> None:
        """Trained on eight pictures, the loss falls and the primary metric rises."""
        images, targets = self.subject.images[:8], self.subject.targets[:8]
        network = self.subject.network()
        before = self._primary(network)
        network.train()
        optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
        losses: list[float] = []
        for _ in range(_STEPS):
            loss = _loss(network, images, targets)
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            losses.append(float(loss.detach()))
            if len(losses) > 10 and max(losses[-3:]) < 0.2 * losses[0]:
                break
        last = sum(losses[-5:]) / 5
        check(last < _FALLEN * losses[0], f"the loss of eight pictures falls from {losses[0]:.3g} to {last:.3g} only")
        after = self._primary(network)
        name = self.subject.plan.metrics().primary
        check(after > before, f"{name} goes from {before:.3g} to {after:.3g} while the loss falls: they disagree")

    def _primary(self, network: Network) -> float:
        """The primary metric of the eight pictures, in eval mode after batch statistics have converged."""
        network.train()
        with torch.no_grad():
            for _ in range(20):
                network(self.subject.images[:8])
        network.eval()
        with torch.no_grad():
            outputs = network.activate(network(self.subject.images[:8]))
        return self.subject.measure(outputs, 8)[self.subject.plan.metrics().primary]

    def _check_declared(self, backbone: str, outputs: dict[str, Tensor], num: int) -> None:
        declared = self.subject.plan.outputs
        check(list(outputs) == list(declared), f"{backbone}: activate gives {list(outputs)}, not {list(declared)}")
        for name, kind in declared.items():
            shape = (num, *(SIZE if isinstance(extent, str) else extent for extent in kind.shape))
            got = tuple(outputs[name].shape)
            check(got == shape, f"{backbone}: {name} has shape {list(got)}, its kind says {list(shape)}")

    @staticmethod
    def _check_values(name: str, kind: Kind, value: Tensor) -> None:
        if not isinstance(kind, Category | Tags | Mask):
            return
        low, high = float(value.min()), float(value.max())
        check(low >= -1e-5 and high <= 1 + 1e-5, f"{name}: probabilities reach from {low:.3g} to {high:.3g}")
        sums = value.sum(dim=1) if not isinstance(kind, Tags) else value.new_ones(1)
        if isinstance(kind, Category):
            check((sums - 1).abs().max() < 1e-4, f"{name}: the probabilities of a picture do not sum to one")
        check(sums.max() <= 1 + 1e-4, f"{name}: the probabilities of a pixel sum to more than one")


def _loss(network: Network, images: Tensor, targets: Tensor) -> Tensor:
    terms = head_of(network).loss(network(images)[NAME].float(), targets)
    return torch.stack([term.mean() for term in terms.values()]).sum()
