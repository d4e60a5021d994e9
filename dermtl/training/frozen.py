"""What frozen layers give for pictures that come again unchanged: computed once, then replayed.

Which modules are frozen is seen, not declared: in a forward pass with gradients, a module whose output needs none lies
before everything that learns. Which of their outputs are needed is seen the same way: those that a gradient reaches.
So a head stage on pooled features keeps one vector a picture, and a stage that trains the last block keeps that
block's input, on any architecture; where a model does not let itself be replayed exactly, nothing is kept.
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from dermtl.model.head import Features
from dermtl.model.network import Network

_CONTAINERS = (nn.Sequential, nn.ModuleList)  # their children are called, they themselves not always


class FrozenLayers:
    """The outermost modules of the backbone that nothing trainable precedes, and the way to replay them.

    Args:
        network: Frozen as far as the stage says; looked at again when that changes.
        images: A batch to try it on, uint8 [N, 3, S, S].
        autocast: Makes the context of the run's precision.

    Attributes:
        exact: Whether a replay gives the very bits that recomputing gives, on that batch.
    """

    def __init__(
        self, network: Network, images: Tensor, autocast: Callable[[], AbstractContextManager[Any]] = nullcontext
    ) -> None:
        self._network = network
        self._autocast = autocast
        self._modules: list[nn.Module] = []
        self._needed: list[tuple[int, int]] = []
        self._samples: list[list[Tensor]] = []
        with self._evaluating():
            self.exact = self._look(images)
        if any(_is_random(part) for module in self._modules for part in module.modules()):
            self.exact = False  # dropout that is alive before everything that learns

    @property
    def num_bytes(self) -> int:
        """Memory for the outputs of one picture."""
        return sum(self._samples[module][part][0].nbytes for module, part in self._needed)

    @cached_property
    def digest(self) -> bytes:
        """Of all that :meth:`compute` depends on: the layers' weights, and what they gave for the batch tried."""
        digest = hashlib.blake2b()
        for module, parts in zip(self._modules, self._samples, strict=True):
            for tensor in (*module.state_dict().values(), *parts):
                digest.update(f"{tuple(tensor.shape)}{tensor.dtype}".encode())
                digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().data)
        return digest.digest()

    def compute(self, images: Tensor) -> list[Tensor]:
        """The needed outputs, [N, ...] each, in the run's precision."""
        # What comes after the frozen layers runs along; awake, its norms would note these pictures.
        with self._evaluating(), torch.no_grad(), self._autocast(), self._watched() as seen:
            self._network.backbone(images)
        return [seen[module][part].detach() for module, part in self._needed]

    @contextmanager
    def replayed(self, outputs: Sequence[Tensor]) -> Iterator[None]:
        """While active, the frozen modules answer with ``outputs``, as :meth:`compute` gave them for these pictures."""
        given = dict(zip(self._needed, outputs, strict=True))
        answers = [
            [given[key] if (key := (module, part)) in given else self._blank(key, len(outputs[0])) for part in parts]
            for module, parts in enumerate(range(len(samples)) for samples in self._samples)
        ]
        with self._answering(answers):
            yield

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        modes = {module: module.training for module in self._network.modules()}
        self._network.eval()
        try:
            yield
        finally:
            for module, mode in modes.items():
                module.training = mode

    def _blank(self, key: tuple[int, int], num: int) -> Tensor:
        """Stands for an output that nothing reads the values of, though its shape may matter."""
        module, part = key
        sample = self._samples[module][part]
        if self._modules[module] is self._network.backbone:
            return sample.new_zeros(()).expand(num, *sample.shape[1:])
        return torch.zeros_like(sample[:1]).repeat(num, *[1] * (sample.ndim - 1))  # may be overwritten in place

    def _look(self, images: Tensor) -> bool:
        """Find the modules, what is needed of them, and whether that can be replayed."""
        backbone = self._network.backbone
        learns = {module: False for module in backbone.modules()}
        calls = dict.fromkeys(learns, 0)

        def note(module: nn.Module, _: Any, output: Any) -> None:
            parts = _parts(output)
            calls[module] += 1
            learns[module] |= parts is None or any(part.requires_grad for part in parts)

        handles = [module.register_forward_hook(note) for module in learns]
        with self._autocast():
            truth = self._network(images)
        for handle in handles:
            handle.remove()
        self._modules = list(_outermost(backbone, {m for m in learns if calls[m] == 1 and not learns[m]}))
        if not self._modules:
            return False
        with torch.no_grad(), self._autocast(), self._watched() as seen:
            self._network(images)
        self._samples = [seen[index] for index in range(len(self._modules))]
        leaves = [[part.clone().requires_grad_() for part in parts] for parts in self._samples]
        with self._autocast(), self._answering(leaves):
            raw = self._network(images)
        flat = {(i, j): leaf for i, parts in enumerate(leaves) for j, leaf in enumerate(parts)}
        score = torch.stack([value.float().square().sum() for value in raw.values()]).sum()
        gradients = torch.autograd.grad(score, list(flat.values()), allow_unused=True)
        self._needed = [key for key, gradient in zip(flat, gradients, strict=True) if gradient is not None]
        with torch.no_grad(), self._autocast(), self.replayed(self.compute(images)):
            again = self._network(images)
        return all(torch.equal(truth[name], value) for name, value in again.items())

    @contextmanager
    def _watched(self) -> Iterator[dict[int, list[Tensor]]]:
        """Fills a mapping, module to its output's parts, during a forward pass."""
        seen: dict[int, list[Tensor]] = {}

        def note(index: int) -> Any:
            # Cloned, because an activation that follows may overwrite its input.
            return lambda module, inputs, output: seen.update({index: [p.clone() for p in _parts(output) or ()]})

        handles = [module.register_forward_hook(note(index)) for index, module in enumerate(self._modules)]
        try:
            yield seen
        finally:
            for handle in handles:
                handle.remove()

    @contextmanager
    def _answering(self, answers: Sequence[Sequence[Tensor]]) -> Iterator[None]:
        for module, parts in zip(self._modules, answers, strict=True):
            module.forward = _Answer(module is self._network.backbone, parts)
        try:
            yield
        finally:
            for module in self._modules:
                del module.forward


@dataclass(frozen=True)
class Replay:
    """What frozen layers gave for the pictures of a batch.

    Attributes:
        layers: Which.
        outputs: As :meth:`FrozenLayers.compute` gave them, [N, ...] each.
    """

    layers: FrozenLayers
    outputs: Sequence[Tensor]

    def part(self, start: int, end: int) -> "Replay":
        """Of the pictures from ``start`` to ``end``."""
        return Replay(self.layers, [rows[start:end] for rows in self.outputs])


def replaying(replay: Replay | None, device: torch.device) -> AbstractContextManager[None]:
    """:meth:`FrozenLayers.replayed` where a batch brings outputs, nothing where it brings pictures."""
    if replay is None:
        return nullcontext()
    return replay.layers.replayed([output.to(device) for output in replay.outputs])


class _Answer:
    """Stands in for a module's forward."""

    def __init__(self, features: bool, parts: Sequence[Tensor]) -> None:
        self._features = features
        self._parts = parts

    def __call__(self, *_: Any, **__: Any) -> Tensor | Features:
        return Features(self._parts[0], tuple(self._parts[1:])) if self._features else self._parts[0]


def _parts(output: Any) -> list[Tensor] | None:
    """The tensors of an output; None where it is of no form that can be replayed."""
    if isinstance(output, Features):
        return [output.pooled, *output.maps]
    return [output] if isinstance(output, Tensor) else None


def _outermost(module: nn.Module, frozen: set[nn.Module]) -> Iterator[nn.Module]:
    if module in frozen and not isinstance(module, _CONTAINERS):
        yield module
        return
    for child in module.children():
        yield from _outermost(child, frozen)


def _is_random(module: nn.Module) -> bool:
    """Whether a module draws lots as it stands: timm's DropPath has drop_prob, torch's dropouts p."""
    share = getattr(module, "drop_prob", None) or (module.p if isinstance(module, nn.modules.dropout._DropoutNd) else 0)
    return module.training and bool(share)
