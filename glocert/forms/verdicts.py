"""The verdict about one path and one label, for any network."""

from __future__ import annotations

from functools import partial

import torch

from glocert.budget import Budget
from glocert.forms.backward import prepare as prepare_reversal
from glocert.forms.program import Program, prepare
from glocert.forms.rounds import Bounds, run
from glocert.forms.search import Search
from glocert.forms.winners import partition as winners
from glocert.graph.ir import Graph
from glocert.laws import UNIFORM, Law
from glocert.paths.path import Path
from glocert.paths.question import check_question
from glocert.report import SegmentReport
from glocert.spec import Analysis

_PREFIX = 0.01
"""How narrow, in units of ``gap``, the part gets in which the proven prefix ends."""


@torch.inference_mode()
def certify(
    graph: Graph | Program,
    path: Path,
    label: int,
    *,
    analysis: Analysis = Analysis.COMPLETE,
    margin: float = 0.0,
    gap: float = 0.001,
    partition: bool = False,
    budget: Budget | None = None,
    device: str = "cpu",
    law: Law = UNIFORM,
) -> SegmentReport:
    """Decide whether ``label`` beats every other class by more than ``margin`` on the whole path.

    The answer is a theorem about the graph with its stored parameters, in the arithmetic that the program was
    made for: ``certified`` and ``falsified`` are proven, rounding included; ties and numbers that are not
    finite are never certified.
    Once a violation is proven, the robust mass is known to within ``gap`` where the budget allows.

    Args:
        graph: the network, or a program made of it by ``prepare`` (worth it for more than one path).
        path: of one parameter, through images of the network's input shape.
        label: class that should win, 0 <= label < classes.
        analysis: ``complete`` also settles where the proven prefix ends, to a hundredth of ``gap``.
        margin: by how much the label's score must exceed every other, >= 0.
        gap: see above; > 0.
        partition: whether the report lists the winning class of every part of the path that is proven.
        budget: time, rows and memory; what is decided before they end counts, the rest is undecided.
        device: torch device, where ``graph`` is not a program.
        law: of t, for the robust mass.

    Raises:
        UnsupportedOperators: names every node that has no transfer of forms.
        InvalidSpec: the path, label or margin does not fit the network.
    """
    program = graph if isinstance(graph, Program) else prepare(graph, device)
    check_question(program.graph, path, label, margin)
    limits = budget or Budget()
    bounds = Bounds(prepare_reversal(program), None, limits.block_bytes)
    search = Search(path.loaded(program.device), label, margin)
    search.ledger.law = law
    search.begin(joints=path.joints)
    exhausted = partial(_exhausted, limits, search)
    run(bounds, search, lambda: exhausted() or enough(search, analysis, gap))
    pending = bool(search.unsettled)
    parts = winners(bounds, search, gap, exhausted) if partition else ()
    return program.execution.explained(search.ledger.report(pending, parts))


def _exhausted(limits: Budget, search: Search) -> bool:
    return limits.out_of_time or search.ledger.pieces >= limits.pieces


def enough(search: Search, analysis: Analysis, gap: float) -> bool:
    """Whether a violation is proven and everything is known that was asked for."""
    if not search.ledger.broken:
        return False
    mass = search.ledger.mass()
    if mass.upper - mass.lower > gap:
        return False
    return analysis is Analysis.QUANTITATIVE or search.first_open() <= gap * _PREFIX
