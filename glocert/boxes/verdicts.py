"""The verdict about one path of several parameters and one label, for any network."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from glocert.boxes.bounds import Bounding
from glocert.boxes.boxes import Boxes
from glocert.boxes.groups import Groups
from glocert.boxes.ledger import enclosing
from glocert.boxes.report import BoxReport
from glocert.boxes.search import Search
from glocert.boxes.symbols import Naming
from glocert.boxes.unsafe import Functionals, Unsafe
from glocert.budget import Budget
from glocert.forms.program import Program, prepare
from glocert.graph.ir import Graph
from glocert.paths.path import Path
from glocert.paths.question import check_question
from glocert.spec import Verdict

_NEXT_STEPS = {
    "budget": "give the input more seconds, or ask for smaller ranges",
    "tie": "the two best scores are equal up to rounding; ask for ranges that end before that point",
    "numeric": "the weights make rounding errors too large to decide; ask for smaller ranges",
    "non-finite": "the network's scores cannot be bounded on this box; check its weights and preprocessing",
}
_CORNER = 2.0**-7
"""Width of the open box in which the proven corner may end."""


def certify(
    graph: Graph | Program,
    path: Path,
    label: int,
    *,
    margin: float = 0.0,
    gap: float = 0.001,
    budget: Budget | None = None,
    device: str = "cpu",
) -> BoxReport:
    """Decide whether ``label`` beats every other class by more than ``margin`` on the whole of a path.

    The answer is a theorem about the graph in real arithmetic with its stored parameters, rounding included;
    ties and numbers that are not finite are never certified. Once a violation is proven, the robust mass is
    known to within ``gap`` where the budget allows, and the proven corner [0, s]^k to a hundredth.

    Args:
        graph: the network, or a program made of it by ``glocert.forms.prepare``.
        path: of any number of parameters, through images of the network's input shape.
        label: class that should win, 0 <= label < classes.
        margin: by how much the label's score must exceed every other, >= 0.
        gap: see above; > 0.
        budget: time, boxes and memory; what is decided before they end counts.
        device: torch device, where ``graph`` is not a program.

    Raises:
        UnsupportedOperators: names every node that has no transfer of forms.
        InvalidSpec: the path, label or margin does not fit the network.
    """
    program = graph if isinstance(graph, Program) else prepare(graph, device)
    check_question(program.graph, path, label, margin)
    unsafe = Unsafe.wrong_label(label, math.prod(program.graph.output_shape), margin)
    bounding = bounding_of(program, path, unsafe, Naming())
    search = Search(bounding, path.dimensions, budget or Budget(), keep=True)
    search.run(lambda: search.broken and search.undecided() <= gap)
    search.nearest = True
    search.run(lambda: search.frontier()[1] <= _CORNER)
    return report(search)


def bounding_of(program: Program, path: Path, unsafe: Unsafe, naming: Naming) -> Bounding:
    """Load a question onto the program's device."""
    graph, device = program.graph, program.device
    sizes = math.prod(graph.output_shape), math.prod(graph.input_shape)
    functionals, groups = Functionals.of(unsafe, sizes, device), Groups.of(unsafe, device)
    return Bounding(program, path.loaded(device), functionals, groups, naming)


def report(search: Search) -> BoxReport:
    """Return the answer of a search that has ended."""
    safe, violated = search.volumes()
    verdict, reason = _verdict(search)
    return BoxReport(
        verdict=verdict,
        robust_mass=enclosing(safe, 1 - violated),
        certified_to=search.frontier()[0] or -1.0,
        witnesses=tuple(dict.fromkeys(t for _, t in sorted(search.witnesses, reverse=True))),
        pieces=search.pieces,
        safe=_ends(search.kept[0], search.dimensions),
        violated=_ends(search.kept[1], search.dimensions),
        reason=reason,
        next_step=_NEXT_STEPS.get(reason, ""),
    )


def _verdict(search: Search) -> tuple[Verdict, str]:
    if search.broken:
        return Verdict.FALSIFIED, ""
    if search.safe.exact == Fraction(1):
        return Verdict.CERTIFIED, ""
    if len(search):
        return Verdict.UNDECIDED, "budget"
    stuck = {reason for reason, _ in search.stuck}
    return Verdict.UNDECIDED, next(x for x in ("non-finite", "numeric", "tie") if x in stuck)


def _ends(kept: list[Boxes], dimensions: int) -> NDArray[np.float64]:
    if not kept:
        return np.zeros((0, 2, dimensions))
    boxes = Boxes.joined(kept)
    return np.stack([boxes.lower, boxes.upper], 1)
