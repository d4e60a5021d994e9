"""Pretrained weights from a file into a timm model: found wherever the file keeps them, and complete or refused.

timm logs keys that a file lacks or holds in vain and goes on, which leaves layers random in silence. Here a parameter
or buffer that the file does not fill, and a tensor that has no place in the model, is an error.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
import timm
import torch
from timm.models import _builder
from torch import Tensor, nn

from dermtl.errors import ConfigError

State = Mapping[str, Tensor]
Filter = Callable[..., Mapping[str, Tensor]]

TORCH_SUFFIXES = (".pth", ".pt", ".bin", ".ckpt")
_PARTS = ("state_dict_ema", "model_ema", "ema", "teacher", "state_dict", "model", "module", "student")  # best first
_HEADS = re.compile(  # what stands beside a backbone in files: classifiers, and what pretraining needed
    r"(heads?|head_dist|fc|classifier|aux\w*|pre_logits|decoder\w*|mask_token|projection\w*|projector|predictor|prototypes|"
    r"text\w*|logit_scale|logit_bias|(dino|ibot|mim|lm)_\w*)(\.|$)"
)
_COUNTER = "num_batches_tracked"  # counts steps of a training, and changes no output
_SHOWN = 3
_HINTS = {  # part of a key that has no place to the option of timm's that makes one
    "ls1.": "the file has LayerScale: options: {init_values: 1.0e-5}",
    "gamma_1": "the file has LayerScale: name a BEiT model, or options: {init_values: 1.0e-5}",
    "q_bias": "the file has the biases of a BEiT: name a BEiT model of this size",
    "fc_norm": "the file normalises pooled features: options: {global_pool: avg}",
    "reg_token": "the file has register tokens: options: {reg_tokens: 4}, or as many as it has",
}


@dataclass(frozen=True)
class Loaded:
    """What was taken from a file.

    Attributes:
        part: Dotted keys under which the weights lay, such as ``model_ema``; empty if they lay at the top.
        prefix: What stood before every key, such as ``module.``.
        unused: Tensors beside the backbone that were left out, such as a classifier's.
    """

    part: str
    prefix: str
    unused: tuple[str, ...]

    def in_words(self) -> str:
        """What a log line adds after the name of the file."""
        words = [f"part {self.part!r}"] if self.part else []
        words += [f"prefix {self.prefix!r}"] if self.prefix else []
        words += [f"{len(self.unused)} tensors left out ({_few(list(self.unused))})"] if self.unused else []
        return f": {', '.join(words)}" if words else ""


def create_pretrained(name: str, path: Path, options: Mapping[str, Any]) -> tuple[nn.Module, Loaded]:
    """A timm model with the weights of a file.

    The file is safetensors or a torch file, which is read with ``weights_only``. Weights may lie below a key (of
    averaged and last weights, the averaged are taken) and behind a prefix; the part and the prefix that fill most of
    the model are chosen. timm's own filter of the model renames keys and resizes position embeddings.

    Args:
        name: A name that timm knows.
        path: The file.
        options: Further arguments of ``timm.create_model``.

    Raises:
        ConfigError: The file cannot be read, leaves a parameter or buffer of the model unfilled, or holds tensors that
            have no place in it.
    """
    with _without_loading() as filters:
        overlay = {"file": str(path)}
        model: nn.Module = timm.create_model(name, pretrained=True, pretrained_cfg_overlay=overlay, **options)
    clean = filters[0] if filters and filters[0] else lambda state, model: state
    part, prefix, state, outside = _best(_read(path), model, clean)
    wanted = model.state_dict()
    unused = (*outside, *(key for key in state if key not in wanted))
    _require_all(state, wanted, name, path)
    model.load_state_dict({key: value for key, value in state.items() if key in wanted}, strict=False)
    return model, Loaded(part, prefix, unused)


def _read(path: Path) -> Mapping[str, Any]:
    if not path.is_file():
        raise ConfigError(
            f"backbone.pretrained: no such file: {path}",
            hint="give a file of weights, the folder of a run, true or false",
        )
    try:
        if path.suffix == ".safetensors":
            return safetensors.torch.load_file(path)
        if path.suffix in TORCH_SUFFIXES:
            content = torch.load(path, map_location="cpu", weights_only=True)
            return content if isinstance(content, Mapping) else {}
    except Exception as error:
        told = (str(error) or type(error).__name__).splitlines()[0]
        raise ConfigError(f"backbone.pretrained: cannot read {path.name}: {told}") from error
    suffixes = ", ".join((".safetensors", *TORCH_SUFFIXES))
    raise ConfigError(f"backbone.pretrained: expected a file that ends in {suffixes}, got {path.name}")


@contextmanager
def _without_loading() -> Iterator[list[Filter | None]]:
    """Timm builds models and hands over the filter of their weights, but loads nothing."""
    filters: list[Filter | None] = []
    original = _builder.load_pretrained

    def note(*_: Any, filter_fn: Filter | None = None, **__: Any) -> None:
        filters.append(filter_fn)

    _builder.load_pretrained = note
    try:
        yield filters
    finally:
        _builder.load_pretrained = original


def _best(content: Mapping[str, Any], model: nn.Module, clean: Filter) -> tuple[str, str, State, list[str]]:
    """The part and prefix whose tensors fill most of the model, these tensors as the model names them, and the rest."""
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    best: tuple[int, str, str, State, list[str]] = (-1, "", "", {}, [])
    for part, tensors in _parts(content, ""):
        for prefix in _prefixes(tensors, len(shapes)):
            stripped = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            state = _clean(stripped, model, clean)
            fit = sum(key in shapes and value.shape == shapes[key] for key, value in state.items())
            if fit > best[0]:
                best = (fit, part, prefix, state, [key for key in tensors if not key.startswith(prefix)])
    return best[1:]


def _parts(content: Mapping[str, Any], at: str) -> Iterator[tuple[str, State]]:
    """Mappings of tensors in a file, averaged weights first, the file's own tensors last."""
    inner = [key for key, value in content.items() if isinstance(value, Mapping)]
    for key in sorted(inner, key=lambda key: _PARTS.index(key) if key in _PARTS else len(_PARTS)):
        yield from _parts(content[key], f"{at}.{key}".strip("."))
    tensors = {str(key): value for key, value in content.items() if isinstance(value, Tensor)}
    if tensors:
        yield at, tensors


def _prefixes(tensors: State, num_wanted: int) -> list[str]:
    """Prefixes that enough keys have for a model to lie behind them, and none, which comes first."""
    counts: Counter[str] = Counter()
    for key in tensors:
        words = key.split(".")
        counts.update(".".join(words[:num]) + "." for num in range(1, len(words)))
    return ["", *sorted(prefix for prefix, num in counts.items() if num >= num_wanted / 2)]


def _clean(state: State, model: nn.Module, clean: Filter) -> State:
    """What timm's filter makes of the keys; what it cannot read stays as it is."""
    try:
        return {key: value for key, value in clean(dict(state), model).items() if isinstance(value, Tensor)}
    except Exception:  # noqa: BLE001  filters of many authors, tried on keys that may not be theirs
        return state


def _require_all(state: State, wanted: State, name: str, path: Path) -> None:
    missing = [key for key in wanted if key not in state and not key.endswith(_COUNTER)]
    unplaced = [key for key in state if key not in wanted and not _HEADS.match(key)]
    unlike = [
        f"{key} {_size(value)} instead of {_size(wanted[key])}"
        for key, value in state.items()
        if key in wanted and value.shape != wanted[key].shape
    ]
    if not (missing or unplaced or unlike):
        return
    parts = []
    if missing:
        parts.append(f"lacks {len(missing)} of {len(wanted)} tensors of {name} ({_few(missing)})")
    if unplaced:
        parts.append(f"holds {len(unplaced)} that have no place in it ({_few(unplaced)})")
    if unlike:
        parts.append(f"has {len(unlike)} of another size ({_few(unlike)})")
    hints = [hint for part, hint in _HINTS.items() if any(part in key for key in unplaced)]
    raise ConfigError(
        f"backbone.pretrained: {path.name} {' and '.join(parts)}",
        hint=hints[0] if hints else "give a file of this very model, or pretrained: false",
    )


def _few(keys: list[str]) -> str:
    return ", ".join(keys[:_SHOWN]) + (", ..." if len(keys) > _SHOWN else "")


def _size(value: Tensor) -> str:
    return "x".join(map(str, value.shape)) or "one number"
