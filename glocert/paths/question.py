"""What may be asked about a path: one check for both engines."""

from __future__ import annotations

import math
from collections.abc import Iterable

from glocert.errors import InvalidSpec
from glocert.graph.ir import Graph
from glocert.paths.path import Path


def check_question(graph: Graph, path: Path, label: int, margin: float) -> None:
    """Refuse a path, label or margin that does not fit the network.

    Raises:
        InvalidSpec: says which, and what the network takes.
    """
    check_questions(graph, [(path, label, margin)])


def check_questions(graph: Graph, questions: Iterable[tuple[Path, int, float, *tuple[object, ...]]]) -> None:
    """Refuse the first of many questions that does not fit the network.

    Args:
        graph: the network.
        questions: path, label and margin of each, and whatever else is asked.

    Raises:
        InvalidSpec: says which, and what the network takes.
    """
    classes, shape = math.prod(graph.output_shape), graph.input_shape
    for path, label, margin, *_ in questions:
        if path.shape != shape:
            raise InvalidSpec(f"the path has shape {path.shape}, the network takes {shape}")
        if not 0 <= label < classes or classes < 2:
            raise InvalidSpec(f"label {label} is not one of the network's {classes} classes")
        if not 0 <= margin < math.inf:
            raise InvalidSpec(f"a margin of {margin} cannot be asked for")
