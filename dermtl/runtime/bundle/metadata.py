"""The metadata of a ``model.onnx``: the JSON text under the key ``dermtl``.

Written by the export, read by everything that runs a model. Knows kinds, but no head: the config of a head is stored as
its plugin wrote it.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dermtl.arrays import Array
from dermtl.errors import BundleError
from dermtl.imaging.header import MAX_SIDE_PX
from dermtl.kinds.category import Category
from dermtl.kinds.kind import Kind
from dermtl.kinds.registry import kind_from_metadata
from dermtl.runtime.bundle.session import faults, open_session
from dermtl.runtime.decision import Decisions

KEY = "dermtl"
SCHEMA = 1
INPUT = "image"
_FLOATS = frozenset({"tensor(float)", "tensor(float16)", "tensor(double)"})
_EXPORT = "export it with dermtl export"
_NAME = re.compile(r"[a-z][a-z0-9_]*\.[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Bundle:
    """The metadata of a model.

    Attributes:
        name: The experiment's name.
        size: Side S of the network's square input in pixels.
        mean: Mean of the normalisation in 0..1, RGB; for information, since the graph applies it.
        std: Standard deviation of the normalisation in 0..1, RGB.
        outputs: Output name, ``<head>.<output>``, to kind, in the order of the graph.
        heads: Head name to type, origin, config and loss weight, in plain JSON types.
        data: Columns of the image and the group in the manifest.
        provenance: Versions, backbone, digests; free form.
        decisions: Decisions frozen on validation; the graph already applies the temperatures.
        card: Texts of ``card.yaml``, such as intended use and limits, by key.
    """

    name: str
    size: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    outputs: Mapping[str, Kind]
    heads: Mapping[str, Any]
    data: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    decisions: Decisions = field(default_factory=Decisions)
    card: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """The text for ``metadata_props["dermtl"]``."""
        outputs = [
            {"name": name, "head": name.partition(".")[0], "kind": kind.metadata()}
            for name, kind in self.outputs.items()
        ]
        document = {
            "schema": SCHEMA,
            "name": self.name,
            "input": {"name": INPUT, "size": self.size, "mean": list(self.mean), "std": list(self.std)},
            "outputs": outputs,
            "heads": dict(self.heads),
            "data": dict(self.data),
            "provenance": dict(self.provenance),
            "decisions": self.decisions.to_json(),
            "card": dict(self.card),
        }
        return json.dumps(document, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> "Bundle":
        """Read the metadata's text.

        Raises:
            BundleError: The text is not JSON, has an unknown schema, or lacks a key.
        """
        try:
            document = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise BundleError(f"its dermtl metadata are not JSON: {error}", hint="copy or export it again") from error
        schema = _value(document, "schema", int)
        if schema != SCHEMA:
            hint = "upgrade dermtl to read this model" if schema > SCHEMA else _EXPORT
            raise BundleError(f"its metadata have schema {schema}, this dermtl reads {SCHEMA}", hint=hint)
        input_ = _value(document, "input", dict)
        size = _value(input_, "size", int, "input.")
        if not 1 <= size <= MAX_SIDE_PX or input_.get("name") != INPUT:
            message = f"its metadata describe no input {INPUT!r} of 1 to {MAX_SIDE_PX} pixels: {input_}"
            raise BundleError(message, hint=_EXPORT)
        heads = _value(document, "heads", dict)
        outputs = _outputs(_value(document, "outputs", list), heads)
        return cls(
            name=_value(document, "name", str),
            size=size,
            mean=_numbers(input_, "mean"),
            std=_numbers(input_, "std"),
            outputs=outputs,
            heads=heads,
            data=_value(document, "data", dict),
            provenance=_value(document, "provenance", dict),
            decisions=_decisions(document, outputs),
            card=_card(document),
        )


def read_bundle(source: Any, *, where: str = "model") -> Bundle:
    """Read the metadata of a model and check them against its graph.

    Args:
        source: A path, or an open ``onnxruntime.InferenceSession``.
        where: Name of an open session in messages.

    Raises:
        BundleError: The file is not a model, not one of dermtl's, or the graph differs from the metadata.
    """
    session = source
    if isinstance(source, str | Path):
        where, session = str(source), open_session(source, optimise=False)
    with faults(where, "its metadata cannot be read", hint="copy or export it again"):
        texts = session.get_modelmeta().custom_metadata_map
        inputs = [(node.name, node.type, node.shape) for node in session.get_inputs()]
        outputs = {node.name: (node.type, node.shape) for node in session.get_outputs()}
    if KEY not in texts:
        raise BundleError(
            "is an ONNX model, but not one of dermtl's: it has no dermtl metadata", where=where, hint=_EXPORT
        )
    try:
        bundle = Bundle.from_json(texts[KEY])
        _check_graph(bundle, inputs, outputs)
    except BundleError as error:
        raise BundleError(error.message, where=where, hint=error.hint or _EXPORT) from error
    return bundle


def blank(kind: Kind) -> Array:
    """A value of the kind, all zeros, for a picture of one pixel; float32."""
    return np.zeros([extent if isinstance(extent, int) else 1 for extent in kind.shape], np.float32)


def fits(kind: Kind, shape: tuple[Any, ...]) -> bool:
    """Whether the shape of a tensor without its first axis is that of the kind, as far as both are known."""
    pairs = zip(kind.shape, shape, strict=False)
    known = all(have == want for want, have in pairs if isinstance(want, int) and isinstance(have, int))
    return known and len(kind.shape) == len(shape)


def _check_graph(bundle: Bundle, inputs: list[Any], outputs: Mapping[str, Any]) -> None:
    name, type_, shape = inputs[0] if inputs else ("", "", [])
    channels = shape[-1] if shape else 3
    if len(inputs) != 1 or name != INPUT or type_ != "tensor(uint8)" or len(shape) not in (0, 4) or channels != 3:
        raise BundleError(f"expected one input image, uint8 [N, H, W, 3], got {inputs}", hint=_EXPORT)
    if set(outputs) != set(bundle.outputs):
        listed = ", ".join(bundle.outputs)
        raise BundleError(f"its metadata list the outputs {listed}, its graph has {', '.join(outputs)}", hint=_EXPORT)
    for name, kind in bundle.outputs.items():
        type_, shape = outputs[name]
        if type_ not in _FLOATS or (shape and not fits(kind, tuple(shape[1:]))):  # no shape: known only once it runs
            expected = ["N", *kind.shape]
            raise BundleError(f"output {name}: expected float {expected}, its graph has {type_} {shape}", hint=_EXPORT)


def _outputs(entries: list[Any], heads: Mapping[str, Any]) -> dict[str, Kind]:
    outputs: dict[str, Kind] = {}
    for entry in entries:
        name = _value(entry, "name", str, "outputs[].")
        head = name.partition(".")[0]
        if head != entry.get("head") or head not in heads or not _NAME.fullmatch(name) or name in outputs:
            raise BundleError(f"its metadata's output {name!r} is not <head>.<output>, or stands twice", hint=_EXPORT)
        metadata = _value(entry, "kind", dict, "outputs[].")
        with faults("", f"the metadata of output {name} cannot be used", hint=_EXPORT):
            kind = kind_from_metadata(metadata)
            kind.to_json(blank(kind))  # a dataclass takes any value: only use shows that the names are names
        outputs[name] = kind
    if not outputs:
        raise BundleError("its metadata list no output", hint=_EXPORT)
    return outputs


def _card(document: Mapping[str, Any]) -> dict[str, str]:
    """The texts of the card; files of older versions have none."""
    card = _value(document, "card", dict) if "card" in document else {}
    if not all(isinstance(text, str) for text in card.values()):
        raise BundleError("its metadata's card holds something that is no text", hint=_EXPORT)
    return card


def _decisions(document: Mapping[str, Any], outputs: Mapping[str, Kind]) -> Decisions:
    """The decisions; files of older versions have none."""
    if "decisions" not in document:
        return Decisions()
    found = Decisions.from_json(document["decisions"])
    for decision in found.binary:
        known = outputs[decision.output].columns(blank(outputs[decision.output])) if decision.output in outputs else ()
        if unknown := [name for name in decision.positive if name not in known]:
            raise BundleError(
                f"its metadata decide on {unknown[0]!r}, which output {decision.output} has not", hint=_EXPORT
            )
    for kept in found.sets:
        if not isinstance(outputs.get(kept.output), Category):
            raise BundleError(f"its metadata make sets of {kept.output!r}, which has no classes", hint=_EXPORT)
    return found


def _numbers(mapping: Mapping[str, Any], key: str) -> tuple[float, ...]:
    values = _value(mapping, key, list, "input.")
    if len(values) != 3 or not all(type(value) in (int, float) for value in values):
        raise BundleError(f"metadata key input.{key}: expected three numbers, got {values}", hint=_EXPORT)
    return tuple(float(value) for value in values)


def _value(mapping: Any, key: str, expected: type, prefix: str = "") -> Any:
    if not isinstance(mapping, dict):
        raise BundleError(f"its metadata hold {type(mapping).__name__} where keys were expected", hint=_EXPORT)
    if key not in mapping:
        raise BundleError(f"its metadata lack the key {prefix}{key}", hint=_EXPORT)
    value = mapping[key]
    if type(value) is not expected:
        got = type(value).__name__
        raise BundleError(f"metadata key {prefix}{key}: expected {expected.__name__}, got {got}", hint=_EXPORT)
    return value
