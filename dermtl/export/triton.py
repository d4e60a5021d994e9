"""The folder that NVIDIA's Triton serves a model from: ``<name>/config.pbtxt`` and ``<name>/1/model.onnx``."""

from collections.abc import Mapping
from pathlib import Path

from dermtl.files.atomic import write_atomic
from dermtl.runtime.bundle import INPUT, Bundle, read_bundle
from dermtl.runtime.bundle.model_file import read_model


def write_triton(model: Path, repository: Path, name: str) -> Path:
    """Put a model into a Triton model repository.

    Args:
        model: The exported file.
        repository: The repository's folder.
        name: Name of the model in the repository.

    Returns:
        The ``config.pbtxt``.

    Raises:
        BundleError: The file is not a model of dermtl's.
        DataError: The repository cannot be written.
    """
    content = read_model(model).content
    config = repository / name / "config.pbtxt"
    write_atomic(config, triton_config(read_bundle(model), name))
    write_atomic(repository / name / "1" / "model.onnx", content)
    return config


def triton_config(bundle: Bundle, name: str) -> str:
    """The text of ``config.pbtxt``.

    Requests bring their own batch axis (``max_batch_size: 0``): pictures of one request share their size, those of two
    requests need not, so Triton cannot join them.
    """
    shapes: Mapping[str, tuple[str, tuple[int | str, ...]]] = {INPUT: ("UINT8", (-1, -1, -1, 3))}
    outputs = {output: ("FP32", (-1, *kind.shape)) for output, kind in bundle.outputs.items()}
    return "\n".join(
        [
            f"name: {_quoted(name)}",
            'backend: "onnxruntime"',
            "max_batch_size: 0",
            *_tensors("input", shapes),
            *_tensors("output", outputs),
            "",
        ]
    )


def _tensors(section: str, tensors: Mapping[str, tuple[str, tuple[int | str, ...]]]) -> list[str]:
    entries = []
    for name, (type_, shape) in tensors.items():
        dims = ", ".join(str(extent) if isinstance(extent, int) else "-1" for extent in shape)
        entries.append(f"  {{ name: {_quoted(name)}, data_type: TYPE_{type_}, dims: [ {dims} ] }}")
    return [f"{section} [", ",\n".join(entries), "]"]


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
