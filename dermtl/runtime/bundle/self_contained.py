"""The check that a model file is self-contained: one graph of standard operators, with all numbers inside the file.

Reads the protobuf encoding itself, since the deploy side has no ``onnx``, before ONNX Runtime sees the file. Only
fields that can refer to something outside the file are read. Knows nothing of dermtl's metadata.
"""

from collections.abc import Iterator

from dermtl.errors import BundleError

DOMAINS = frozenset({b"", b"ai.onnx"})
MAX_FIELDS = 2_000_000  # a network of a thousand layers has some 50,000
_EXPORT = "export the model with dermtl export"

# Message to field number to the content of the field: another message, or a rule.
# Source: onnx.proto of ONNX 1.23, whose field numbers never change.
_LAYOUT = {
    "model": {7: "graph", 8: "opset", 20: "training", 25: "function"},
    "opset": {1: "domain"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "node": {5: "attribute", 7: "domain"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
    "tensor": {13: "external", 14: "location"},
}
_REFUSED = {
    "training": "holds training steps",
    "function": "holds functions of its own",
    "external": "keeps numbers in other files (external data)",
}
_VARINT, _EIGHT, _BYTES, _FOUR = 0, 1, 2, 5


def check_self_contained(content: bytes, where: str) -> None:
    """Check a model file before it is run.

    Args:
        content: Bytes of the file.
        where: Name of the file in messages.

    Raises:
        BundleError: The file is no ONNX model, or is not self-contained: external data in any place, operators outside
            the standard domain, functions, training steps.
    """
    if content[4:8] == b"ORTM":
        raise BundleError("is in ONNX Runtime's own format, expected ONNX", where=where, hint=_EXPORT)
    view = memoryview(content)
    waiting = [("model", 0, len(content))]
    num_fields, has_graph = 0, False
    while waiting:
        message, start, end = waiting.pop()
        layout = _LAYOUT[message]
        for field, value, begin, stop in _fields(view, start, end, where):
            num_fields += 1
            if num_fields > MAX_FIELDS:
                raise BundleError(f"holds more than {MAX_FIELDS} fields", where=where, hint=_EXPORT)
            inside = layout.get(field)
            if inside is None:
                continue
            if inside in _REFUSED or (inside == "location" and value != 0):
                fault = _REFUSED.get(inside, _REFUSED["external"])
                raise BundleError(f"{fault}, which is refused", where=where, hint=_EXPORT)
            if inside == "domain" and bytes(view[begin:stop]) not in DOMAINS:
                domain = bytes(view[begin:stop][:60]).decode("utf-8", "replace")
                raise BundleError(f"uses operators of {domain!r}, outside the standard", where=where, hint=_EXPORT)
            if inside in _LAYOUT:
                has_graph |= inside == "graph"
                waiting.append((inside, begin, stop))
    if not has_graph:
        raise BundleError("is not an ONNX model: it holds no graph", where=where, hint=_EXPORT)


def _fields(view: memoryview, start: int, end: int, where: str) -> Iterator[tuple[int, int, int, int]]:
    """Fields of a message: number, value of a varint, and begin and end of the bytes of any other field."""
    at = start
    while at < end:
        key, at = _varint(view, at, end, where)
        field, wire = key >> 3, key & 7
        value, begin = 0, at
        if wire == _VARINT:
            value, at = _varint(view, at, end, where)
            begin = at
        elif wire == _BYTES:
            length, begin = _varint(view, at, end, where)
            at = begin + length
        elif wire in (_EIGHT, _FOUR):
            at += 8 if wire == _EIGHT else 4
        else:
            raise _damaged(where)
        if at > end:
            raise _damaged(where)
        yield field, value, begin, at


def _varint(view: memoryview, at: int, end: int, where: str) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = view[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise _damaged(where)


def _damaged(where: str) -> BundleError:
    return BundleError("is not a model that ONNX Runtime can run: damaged", where=where, hint="copy or export it again")
