"""An uploaded file -> inert graph and inspection report; runs inside the locked-down child."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from glocert.graph.compare import Comparison, compare
from glocert.graph.families import family, is_nonlinear, smooth_nodes
from glocert.graph.formats import Read, read
from glocert.graph.imported import Imported
from glocert.graph.ir import Graph
from glocert.graph.limits import Limits
from glocert.graph.methods import methods
from glocert.graph.purpose import Purpose, as_used, decided

__all__ = ["GRAPH_FILE", "Limits", "Purpose", "inspect_network"]

GRAPH_FILE = "graph.safetensors"


def inspect_network(
    path: Path,
    out: Path,
    *,
    format: str | None,  # noqa: A002 - the name that the API uses
    input_shape: Sequence[int] | None,
    limits: Limits,
    output: str | None = None,
    purpose: Purpose | None = None,
    admit: Callable[[Graph], Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Import an upload, compare it with what it came from, and store the graph.

    Args:
        path: the upload, which may be a gzip of one.
        out: existing folder that gets ``graph.safetensors``.
        format: one of ``formats.FORMATS``; None recognises it by content.
        input_shape: shape of one sample, where the file leaves it open.
        limits: what must not be exceeded.
        output: name or position of the output to use; the first by default.
        purpose: what the output is taken for; scores of a classifier by default.
        admit: tells ``family`` and ``methods`` of a graph, where the engines are at hand and can be asked;
            by default the operators alone decide.

    Returns:
        The inspection report, plain JSON.

    Raises:
        ModelRejected: one of its subclasses; nothing is written then.
    """
    purpose = purpose or Purpose()
    if path.stat().st_size > limits.file_bytes:
        raise limits.exceeded(f"The file has {path.stat().st_size} bytes", "file_bytes")
    found = read(path.read_bytes(), format, input_shape=input_shape, output=output, limits=limits)
    used = as_used(found.imported, purpose)
    graph = decided(used, purpose)
    graph = replace(graph, notes=(*graph.notes, *found.notes))
    comparison = _compared(used, found)
    (out / GRAPH_FILE).write_bytes(graph.to_bytes())
    return _report(used, graph, comparison) | dict(admit(graph) if admit else {})


def _compared(used: Imported, found: Read) -> Comparison:
    """Compare the output and, as a Softmax hides differences, what it is taken of where that can be had."""
    whole = compare(used, found.original(used.output), found.runtime)
    if not (used.tails and found.shows_inside):
        return whole
    return compare(replace(used, tails=()), found.original(used.scores), found.runtime)


def _report(imported: Imported, graph: Graph, comparison: Comparison) -> dict[str, Any]:
    bent = _bent_units(graph)
    weights = imported.parameters
    return {
        "format": imported.format,
        "opset": imported.opset,
        "producer": imported.producer,
        "operators": dict(imported.operators),
        "canonical_operators": graph.operators,
        "parameters": graph.parameter_count if weights is None else weights,
        "nonlinear_units": sum(bent.values()),
        "nonlinear_units_by_operator": dict(sorted(bent.items())),
        "input": {"name": graph.input, "shape": list(graph.input_shape), "dtype": imported.dtype},
        "outputs": _outputs(imported, graph),
        "family": family(graph).value,
        "piecewise_linear": not smooth_nodes(graph),
        "methods": methods(graph),
        "notes": list(graph.notes),
        "comparison": asdict(comparison),
        "graph_sha256": graph.digest(),
    }


def _outputs(imported: Imported, graph: Graph) -> list[dict[str, Any]]:
    """List the outputs of the upload; the shape of the used one is that of the graph's scores."""
    used = {"name": imported.output, "shape": list(graph.output_shape), "used": True}
    if not imported.outputs:
        return [used]
    return [
        used
        if output.used
        else {
            "name": output.name,
            "shape": None if output.shape is None else list(output.shape),
            "used": False,
        }
        for output in imported.outputs
    ]


def _bent_units(graph: Graph) -> Counter[str]:
    """Count the outputs of operators that are not affine, by operator."""
    units: Counter[str] = Counter()
    for node in graph.nodes:
        if is_nonlinear(graph, node):
            units[node.operator] += math.prod(graph.shapes[node.output])
    return units
