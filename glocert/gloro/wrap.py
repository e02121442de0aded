"""Wrap a network and write it in the formats that are asked for, with a manifest."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from glocert.errors import InvalidSpec
from glocert.gloro.artifacts.manifest import NAME, Written, canonical, manifest
from glocert.gloro.artifacts.onnx_file import to_wrapped_onnx
from glocert.gloro.artifacts.torch_files import to_pt2, to_torchscript
from glocert.gloro.artifacts.trial import Floats, trial
from glocert.gloro.artifacts.wrapped import Wrapped, wrap
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
    files, checks = [], {}
    for kind in formats:
        name, writer = WRITERS[kind]
        data = writer(wrapped)
        checks[kind] = asdict(trial(wrapped, data, kind, seconds=seconds, samples=samples))
        (folder / name).write_bytes(data)
        files.append(Written.of(folder / name, kind))
    document = manifest(
        wrapped, tuple(files), model=model, preprocessing=preprocessing, date=date, checks=checks
    )
    (folder / NAME).write_bytes(canonical(document))
    return document
