"""Opening a model file with ONNX Runtime without trusting it.

Owns the options of sessions, and turns every fault inside ONNX Runtime into a
:class:`~dermtl.errors.BundleError`. Knows nothing of the metadata.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dermtl.errors import BundleError, DermtlError, InputError, MissingExtra
from dermtl.files.cores import count_cores
from dermtl.runtime.bundle.model_file import ModelFile, read_model

CPU = "CPUExecutionProvider"
_SUFFIX = "ExecutionProvider"
_NO_FOLDER = "/dermtl-refuses-external-data"


def open_session(
    source: Path | str | ModelFile,
    *,
    providers: Sequence[str] | None = None,
    threads: int | None = None,
    optimise: bool = True,
) -> Any:
    """Open a model file.

    The file is read once, checked, and passed on as bytes, and external data are searched in a folder that does not
    exist, so nothing but the checked bytes is run.

    Args:
        source: Path of the ``model.onnx``, or the file once it was read.
        providers: Execution providers in order of preference, ``CUDAExecutionProvider`` or ``cuda``; default: CPU.
        threads: Number of threads within one operator; default: the number of physical cores, or of the cores that this
            process may use.
        optimise: Optimise the graph; without, opening is faster, which is enough to read metadata.

    Returns:
        An ``onnxruntime.InferenceSession``.

    Raises:
        BundleError: :func:`~dermtl.runtime.bundle.model_file.read_model` refuses it, or ONNX Runtime cannot run it.
        MissingExtra: The installed ONNX Runtime lacks a provider.
    """
    if threads is not None and threads < 1:
        raise InputError(f"threads: expected 1 or more, got {threads}", hint="None takes all cores")
    file = source if isinstance(source, ModelFile) else read_model(source)
    import onnxruntime

    chosen = _available(providers or [CPU], onnxruntime.get_available_providers())
    options = onnxruntime.SessionOptions()
    level = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimise else level.ORT_DISABLE_ALL
    options.log_severity_level = 4  # faults come back as exceptions; on stderr they would be reported twice
    options.intra_op_num_threads = threads or _default_threads()
    options.inter_op_num_threads = 1
    # Spinning threads would take the cores from those that decode.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NO_FOLDER)
    with faults(
        str(file.path),
        "is not a model that ONNX Runtime can run",
        hint="copy or export it again, or upgrade onnxruntime",
    ):
        session = onnxruntime.InferenceSession(file.content, options, providers=chosen, enable_fallback=0)
        running = session.get_providers()
    if chosen[0] not in running:
        raise MissingExtra(
            f"{chosen[0]} is installed but does not start; running: {', '.join(running)}",
            hint="check the driver and its libraries, or choose another provider",
        )
    return session


@contextmanager
def faults(where: str, message: str, *, hint: str = "") -> Iterator[None]:
    """Turn every exception into a BundleError, since damaged files make ONNX Runtime raise nearly any type."""
    try:
        yield
    except DermtlError:
        raise
    except Exception as error:
        detail = " ".join(str(error).split()) or type(error).__name__
        detail = detail if len(detail) <= 300 else f"{detail[:300]}..."
        raise BundleError(f"{message}: {detail}", where=where, hint=hint) from error


def _default_threads() -> int:
    """0 leaves the number to ONNX Runtime, which counts and pins the physical cores of the whole machine."""
    cores = count_cores()
    return 0 if cores == os.cpu_count() else cores


def _available(wanted: Sequence[str], available: Sequence[str]) -> list[str]:
    """Full names of providers; ``cuda`` stands for ``CUDAExecutionProvider``."""
    full = {name.removesuffix(_SUFFIX).lower(): name for name in available}
    chosen = [full.get(name.removesuffix(_SUFFIX).lower(), "") for name in wanted]
    if "" in chosen:
        raise MissingExtra(
            f"execution provider {wanted[chosen.index('')]!r} is not available; available: {', '.join(available)}",
            hint="install the ONNX Runtime built for it, such as onnxruntime-gpu",
        )
    return chosen
