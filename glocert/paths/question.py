"""What may be asked about a path: one check for both engines."""

from __future__ import annotations

import math

from glocert.errors import InvalidSpec
from glocert.graph.ir import Graph
from glocert.paths.path import Path


def check_question(graph: Graph, path: Path, label: int, margin: float) -> None:
    """Refuse a path, label or margin that does not fit the network.

    Raises:
        InvalidSpec: says which, and what the network takes.
    """
    classes = math.prod(graph.output_shape)
    if path.shape != graph.input_shape:
        raise InvalidSpec(f"the path has shape {path.shape}, the network takes {graph.input_shape}")
    if not 0 <= label < classes or classes < 2:
        raise InvalidSpec(f"label {label} is not one of the network's {classes} classes")
    if not (math.isfinite(margin) and margin >= 0):
        raise InvalidSpec(f"a margin of {margin} cannot be asked for")
