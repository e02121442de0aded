"""What may be asked about a segment: one check for both engines."""

from __future__ import annotations

import math

from glocert.errors import InvalidSpec
from glocert.graph.ir import Graph
from glocert.paths.segment import Segment


def check_question(graph: Graph, segment: Segment, label: int, margin: float) -> None:
    """Refuse a segment, label or margin that does not fit the network.

    Raises:
        InvalidSpec: says which, and what the network takes.
    """
    classes = math.prod(graph.output_shape)
    shapes = {array.shape for array in (segment.start, segment.stop, segment.radius)}
    if shapes != {graph.input_shape}:
        raise InvalidSpec(f"the segment has shape {sorted(shapes)}, the network takes {graph.input_shape}")
    if not 0 <= label < classes or classes < 2:
        raise InvalidSpec(f"label {label} is not one of the network's {classes} classes")
    if not (math.isfinite(margin) and margin >= 0):
        raise InvalidSpec(f"a margin of {margin} cannot be asked for")
