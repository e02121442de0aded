"""The unit of work of a job ``gloro-wrap``: a network in, files that certify while they answer out.

Entry point for the certification child::

    summary = run(graph, preprocessing, WrapSpec.from_json(body), folder, date="2026-11-22T12:00:00Z")
    # the files lie in the folder; summary["artifacts"] names them
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glocert.gloro.artifacts.manifest import NAME, constants
from glocert.gloro.artifacts.trial import Floats
from glocert.gloro.wrap import MEDIA_TYPES, WRITERS, wrap, write
from glocert.graph.ir import Graph
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.spec import Preprocessing

KIND = "gloro-wrap"


@dataclass(frozen=True, slots=True)
class WrapSpec:
    """What is asked for.

    Attributes:
        epsilon: radius of the ball, l2, raw input units.
        formats: ``onnx``, ``torchscript``, ``pt2``: some of them, each once.
    """

    epsilon: float
    formats: tuple[str, ...] = tuple(WRITERS)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> WrapSpec:
        """Read a stored job body; members that do not concern the engine are ignored."""
        return cls(float(data["epsilon"]), tuple(data.get("formats") or WRITERS))


def run(
    graph: Graph,
    preprocessing: Preprocessing,
    spec: WrapSpec,
    folder: Path,
    *,
    date: str,
    seconds: float = 60.0,
    samples: Floats | None = None,
) -> dict[str, Any]:
    """Bound a network, write it in every format, run the files, and return the job's summary.

    Args:
        graph: as it was imported.
        preprocessing: what comes in front of it, so that radii are in raw input units.
        spec: what is asked for.
        folder: an empty one, for the files.
        date: of the making, ISO 8601.
        seconds: that trial runs of one file may take.
        samples: real raw inputs for the trial runs, float32, shape (N, *item shape).

    Returns:
        ``epsilon``, ``classes``, ``bound`` (constants, per part with method), ``checks`` per format,
        ``seconds`` and ``artifacts``: name, media_type, size_bytes and sha256 of every file, the manifest
        last.

    Raises:
        InvalidSpec: the request does not fit the network.
        UnsupportedOperators: names every node without a constant, or whose rounding errors are not known.
        ImportMismatch: a file that was written answers something else than the library.
    """
    began = time.monotonic()
    network = prepend_preprocessing(graph, item_shape(graph, preprocessing), preprocessing)
    wrapped = wrap(network, spec.epsilon)
    document = write(
        wrapped, spec.formats, folder, model=graph.digest(), preprocessing=preprocessing, date=date,
        seconds=seconds, samples=samples,
    )  # fmt: skip
    names = [*(file["name"] for file in document["files"]), NAME]
    return {
        "epsilon": spec.epsilon,
        "classes": wrapped.classes,
        "bound": constants(wrapped.bound),
        "checks": document["checks"],
        "seconds": time.monotonic() - began,
        "artifacts": [_described(folder / name) for name in names],
    }


def item_shape(graph: Graph, preprocessing: Preprocessing) -> tuple[int, ...]:
    """Return the shape of a raw input, channels first."""
    shape = graph.input_shape
    return (shape[2], *shape[:2]) if preprocessing.layout == "NHWC" and len(shape) == 3 else shape


def _described(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return {
        "name": path.name,
        "media_type": MEDIA_TYPES[path.name],
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
