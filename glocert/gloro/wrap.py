"""Wrap a network and write it in the formats that are asked for, with a manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from glocert.errors import InvalidSpec
from glocert.gloro.artifacts.manifest import NAME, Written, canonical, manifest, weights_digest
from glocert.gloro.artifacts.onnx_file import to_wrapped_onnx
from glocert.gloro.artifacts.torch_files import to_pt2, to_torchscript
from glocert.gloro.artifacts.trial import Floats, trial
from glocert.gloro.artifacts.verification import covers, proved
from glocert.gloro.artifacts.wrapped import Wrapped, covering, wrap
from glocert.graph.ir import Graph
from glocert.spec import Preprocessing

WRITERS: Mapping[str, tuple[str, Callable[[Wrapped], bytes]]] = {
    "onnx": ("wrapped.onnx", to_wrapped_onnx),
    "torchscript": ("wrapped.torchscript.pt", to_torchscript),
    "pt2": ("wrapped.pt2", to_pt2),
}
"""format -> name of the file, and what makes its bytes"""

MEDIA_TYPES: Mapping[str, str] = {
    "wrapped.onnx": "application/octet-stream",
    "wrapped.torchscript.pt": "application/octet-stream",
    "wrapped.pt2": "application/octet-stream",
    NAME: "application/json",
}

__all__ = ["MEDIA_TYPES", "WRITERS", "Wrapped", "wrap", "write"]


def write(
    wrapped: Wrapped,
    formats: Sequence[str],
    folder: Path,
    *,
    model: str,
    preprocessing: Preprocessing,
    date: str,
    seconds: float = 60.0,
    samples: Floats | None = None,
) -> dict[str, Any]:
    """Write the files and their manifest, run every file, and return the manifest.

    Args:
        wrapped: what to write.
        formats: keys of ``WRITERS``.
        folder: where to; it exists.
        model: digest of the graph that was wrapped.
        preprocessing: what was put in front of it.
        date: of the making, ISO 8601.
        seconds: that the runs of one file may take, beyond the fewest.
        samples: real inputs for the runs.

    Raises:
        InvalidSpec: a format is unknown or named twice, or none is named.
        ImportMismatch: a file answers something else than the library.
    """
    if not formats or len(set(formats)) < len(formats) or not set(formats) <= WRITERS.keys():
        raise InvalidSpec(f"formats must be some of {', '.join(WRITERS)}, each once")
    wrapped, contents, weights = _agreed(wrapped, formats)
    checks = {}
    for kind, data in contents.items():
        checks[kind] = asdict(trial(wrapped, data, kind, seconds=seconds, samples=samples))
        (folder / WRITERS[kind][0]).write_bytes(data)
    files = [Written.of(folder / WRITERS[kind][0], kind, weights_digest(weights[kind])) for kind in contents]
    document = manifest(
        wrapped, tuple(files), model=model, preprocessing=preprocessing, date=date, checks=checks
    )
    (folder / NAME).write_bytes(canonical(document))
    return document


def _agreed(wrapped: Wrapped, formats: Sequence[str]) -> tuple[Wrapped, dict[str, bytes], dict[str, Graph]]:
    """Make the files, read them back, and raise the constants until they cover what is proved of each.

    Returns:
        The network with the constants of all files, and per format the file and the network inside.
    """
    proofs = {}
    for kind in formats:
        data = WRITERS[kind][1](wrapped)
        proofs[kind] = proved(data, kind, wrapped.network.input_shape)
    for _, found, slack in proofs.values():
        if not covers(wrapped, found, slack):
            wrapped = covering(wrapped, found, slack)
    contents = {kind: WRITERS[kind][1](wrapped) for kind in formats}
    return wrapped, contents, {kind: network for kind, (network, _, _) in proofs.items()}
