"""Before a job: do network and data go together, which settings would be better, and what would it cost?

A wrong normalisation is the commonest mistake of all. It makes a certificate about a network that nobody
uses, and nothing in the certificate's proof can tell. So the usual settings are tried on labelled items, and
each is shown with the accuracy that it gives.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocert.certification.admission import admission
from glocert.certification.case import Case
from glocert.certification.estimate import Plan, estimate
from glocert.certification.fit import Stored, describe_fit, describe_labels, layouts
from glocert.certification.guesses import Guess, guesses
from glocert.certification.ranking import Ranking, rearranged
from glocert.certification.trial import Bench, Trial
from glocert.errors import InvalidSpec
from glocert.graph.families import is_nonlinear
from glocert.graph.ir import Graph
from glocert.paths.items import to_image_domain
from glocert.spec import Band, Label, Mutation, Preprocessing

Progress = Generator[float, None, dict[str, Any]]
FEWEST = 20
"""items that are tried however slow the network is"""
SAMPLE = 200
"""items whose mean and deviation stand for those of the data"""
COMPARED = 4
"""items by which guesses are found to be the same"""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a precheck looks at.

    Attributes:
        indices: items to try guesses on.
        mutation: of the job whose cost is estimated; brighter by a tenth of the domain by default.
        classifier: whether the outputs are scores of classes.
        workers: that are at hand.
        guess_seconds: to spend on guesses, roughly.
        estimate_seconds: to spend on the estimate.
        block_bytes: memory of one block of the engine.
    """

    indices: Sequence[int]
    mutation: Mutation | None = None
    classifier: bool = True
    workers: int = 1
    guess_seconds: float = 60.0
    estimate_seconds: float = 10.0
    block_bytes: int = 64 * 2**20


def precheck(case: Case, wanted: Wanted, out: Path, *, device: str = "cpu") -> Progress:
    """Look at network and data together.

    Args:
        case: files of the job, with the model's own settings.
        wanted: how much to look at.
        out: existing folder for pictures of the estimate.
        device: where to compute.

    Yields:
        The share that is done.

    Returns:
        ``model``, ``fit``, ``labels``, ``guesses`` (best first), ``recommended``, ``warnings``, ``estimate``:
        plain data, see ``docs/api.md``.

    Raises:
        InvalidSpec: an index is outside the data set.
    """
    graph = Graph.from_bytes(case.graph.read_bytes())
    array = np.load(case.inputs, mmap_mode="r", allow_pickle=False)
    labels = None if case.labels is None else np.load(case.labels, allow_pickle=False)
    _check(wanted.indices, len(array))
    stored, scores = Stored.of(array), prod(graph.output_shape)
    classifier = wanted.classifier and scores > 1
    chosen = None if labels is None or not classifier else labels[list(wanted.indices)]
    bench = Bench(graph, array, list(wanted.indices), chosen, device)
    fit = describe_fit(stored, graph, case.preprocessing)
    trials: list[Trial] = []
    if fit["layouts"] and wanted.indices:
        trials = yield from _trials(bench, stored, case.preprocessing, classifier, wanted.guess_seconds)
    ranking = Ranking.of(trials)
    found = {
        "model": _model(graph, classifier),
        "fit": fit,
        "labels": describe_labels(labels, scores) if classifier else {"labelled": False, "problems": []},
        **(ranking.to_json() if classifier else {"guesses": [], "recommended": None}),
        "rearranged": [trial.to_json() for trial in rearranged(bench, ranking)] if classifier else [],
        "outputs": _outputs(bench, trials) if not classifier else None,
    }
    yield 1.0
    return found | {
        "warnings": ranking.warnings(case.preprocessing) if classifier else [],
        "estimate": _estimate(case, bench, ranking, wanted, out, classifier),
    }


def finished(running: Progress) -> dict[str, Any]:
    """Return the document, for callers who do not watch."""
    while True:
        try:
            next(running)
        except StopIteration as end:
            document: dict[str, Any] = end.value
            return document


def _check(indices: Sequence[int], items: int) -> None:
    for index in indices:
        if not 0 <= index < items:
            raise InvalidSpec(f"input {index} does not exist: the data set has {items} items")


def _model(graph: Graph, classifier: bool) -> dict[str, Any]:
    return admission(graph) | {
        "parameters": graph.parameter_count,
        "nonlinear_units": sum(
            prod(graph.shapes[node.output]) for node in graph.nodes if is_nonlinear(graph, node)
        ),
        "outputs": prod(graph.output_shape),
        "output_kind": "class scores" if classifier else "values",
    }


def _trials(
    bench: Bench, stored: Stored, current: Preprocessing, classifier: bool, seconds: float
) -> Generator[float, None, list[Trial]]:
    """Try every guess that fits and differs from those before it, on as many items as the time allows."""
    candidates = _distinct(
        bench, guesses(stored, current, layouts(stored.shape, bench.graph), _sample(bench))
    )
    if not classifier:
        candidates = [guess for guess in candidates if guess.current]
    bench = _affordable(bench, candidates, seconds)
    trials = []
    for guess in candidates:
        trials.append(bench.tried(guess))
        yield len(trials) / (len(candidates) + 1)
    return trials


def _sample(bench: Bench) -> NDArray[np.float32]:
    """Return some of the items as images of the domain with their stored values."""
    layout = layouts(bench.stored.shape[1:], bench.graph)[0]
    plain = Preprocessing(scale=False, layout=layout)
    shape = bench.graph.input_shape
    return np.stack([to_image_domain(bench.stored[index], shape, plain) for index in bench.indices[:SAMPLE]])


def _distinct(bench: Bench, candidates: Iterable[Guess]) -> list[Guess]:
    """Drop guesses that do not fit, and those that feed the network what an earlier one does."""
    kept: dict[bytes, Guess] = {}
    few = bench.first(COMPARED)
    for guess in candidates:
        try:
            fed = few.fed(guess)
        except InvalidSpec:
            continue
        kept.setdefault(fed.numpy().tobytes(), guess)
    return list(kept.values())


def _affordable(bench: Bench, candidates: Sequence[Guess], seconds: float) -> Bench:
    """Look at fewer items where all of them would take too long."""
    if not candidates or len(bench.indices) <= FEWEST:
        return bench
    began = time.monotonic()
    bench.first(FEWEST).tried(candidates[0])
    each = (time.monotonic() - began) / FEWEST * len(candidates)
    return bench.first(max(FEWEST, min(len(bench.indices), int(seconds / max(each, 1e-9)))))


def _outputs(bench: Bench, trials: Sequence[Trial]) -> dict[str, Any] | None:
    """Return the range of every output under the model's own settings."""
    if not trials:
        return None
    scores = bench.scores(trials[0].guess)
    finite = scores[np.isfinite(scores).all(axis=1)]
    if not len(finite):
        return {"items": 0, "lowest": [], "highest": []}
    ends = {"lowest": finite.min(axis=0).tolist(), "highest": finite.max(axis=0).tolist()}
    return {"items": len(finite), **ends}


def _estimate(
    case: Case, bench: Bench, ranking: Ranking, wanted: Wanted, out: Path, classifier: bool
) -> dict[str, Any]:
    chosen = ranking.settled
    if chosen is None:
        return {"measured": 0, "seconds": None, "note": "Data and model do not fit."}
    settings = chosen.guess.preprocessing
    tenth = 0.1 * (settings.upper - settings.lower)
    mutation = wanted.mutation or Mutation("brightness", 0.0, tenth)
    plan = Plan(
        mutation,
        Label() if classifier else Band(_width(bench, chosen)),
        len(bench.stored),
        wanted.workers,
        wanted.estimate_seconds,
        wanted.block_bytes,
    )
    indices = ranking.right_indices(bench) if classifier else list(bench.indices)
    return estimate(case, settings, indices, out, plan, device=bench.device)


def _width(bench: Bench, chosen: Trial) -> float:
    """Return a tenth of the spread of the outputs: a band as a first question might name it."""
    scores = bench.scores(chosen.guess)
    spread = float(np.ptp(scores[np.isfinite(scores)])) if np.isfinite(scores).any() else 0.0
    return 0.1 * spread or 0.1
