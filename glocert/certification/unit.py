"""Certify the inputs of one unit of work, some of them together."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import groupby
from typing import Any

from glocert import engine
from glocert.budget import Budget
from glocert.certification.at_once import Found, answered
from glocert.certification.case import Case, Subject, load
from glocert.certification.confirmation import Confirmed, Images, confirm
from glocert.certification.drawing import COUNTEREXAMPLE, Story, captions
from glocert.certification.entering import Entrance, Input, Way
from glocert.certification.journal import Entry, Journal, State, digest
from glocert.certification.question import Question
from glocert.certification.runtimes import Runtimes
from glocert.engine import Program, certify_many, prepare
from glocert.graph.ir import Graph
from glocert.laws import law_of
from glocert.report import Counterexample, InputReport, SegmentReport
from glocert.spec import Arithmetic, Preprocessing, SegmentSpec, Verdict

TOGETHER = 16
"""inputs whose questions are answered together"""


def run(
    case: Case,
    spec: SegmentSpec,
    indices: Sequence[int],
    out: pathlib.Path,
    *,
    device: str = "cpu",
    block_bytes: int = 64 * 2**20,
    journal: Journal | None = None,
) -> Iterator[InputReport]:
    """Certify inputs and yield each report as it is done.

    Args:
        case: files of the job.
        spec: path, analysis and budget.
        indices: items to certify.
        out: existing folder; the pictures of input ``i`` are written to ``out/i/``.
        device: where the engine computes; confirmations always run on the CPU.
        block_bytes: memory of one depth-first block of the engine.
        journal: what is known of the inputs already, and who hears what is proven before an answer is there.

    Yields:
        One report per index, in their order.

    Raises:
        InvalidSpec: network, data and request do not fit.
    """
    subject = load(case, indices)
    entrance = Entrance(subject, spec, case.latent, device)
    unit = _Unit(subject, entrance, spec, (device, block_bytes), journal or Journal())
    for group in (indices[first : first + TOGETHER] for first in range(0, len(indices), TOGETHER)):
        yield from unit.reports(group, out)


class _Unit:
    def __init__(
        self,
        subject: Subject,
        entrance: Entrance,
        spec: SegmentSpec,
        machine: tuple[str, int],
        journal: Journal,
    ) -> None:
        self._subject, self._entrance, self._spec = subject, entrance, spec
        self._device, self._block_bytes = machine
        self._law = law_of(spec.law, spec.mutation.start, spec.mutation.stop)
        self._captions = captions(spec.mutation)
        self._journal = journal
        self._runtimes = Runtimes(subject.network)
        self._networks: dict[Hashable, Graph] = {}
        self._program: tuple[Graph, Program] | None = None

    def reports(self, indices: Sequence[int], out: pathlib.Path) -> Iterator[InputReport]:
        """Yield the rows of some inputs in order, and leave the pictures of each in its folder."""
        inputs = [self._entrance.opened(index) for index in indices]
        answers, ready = self._answers(inputs), dict[int, Found]()
        for at, one in enumerate(inputs):
            began = time.monotonic()
            row, seconds = one.opening.row, one.seconds
            if one.opening.question is not None:
                while at not in ready:
                    answer = next(answers)
                    ready[answer.position] = answer
                found, began = ready.pop(at), time.monotonic()
                row = self._certified(one, one.opening.question, found, out / str(one.index))
                seconds += found.seconds
            yield replace(row, seconds=seconds + time.monotonic() - began)

    def _answers(self, inputs: Sequence[Input]) -> Iterator[Found]:
        """Yield the engine's answers by position in ``inputs``; those about one network go together."""
        asked = [(at, one, one.opening.question) for at, one in enumerate(inputs) if one.opening.question]
        networks = [self._network(question) for _, _, question in asked]
        first = {id(network): at for at, network in reversed(list(enumerate(networks)))}
        together = sorted(zip(networks, asked, strict=True), key=lambda pair: first[id(pair[0])])
        for _, group in groupby(together, key=lambda pair: id(pair[0])):
            pairs = list(group)
            about = [(one, question) for _, (_, one, question) in pairs]
            for answer in self._decided(pairs[0][0], about):
                yield replace(answer, position=pairs[answer.position][1][0])

    def _network(self, question: Question) -> Graph:
        """Return the network that a question is about; one for all questions with the same key."""
        if question.key is None:
            return question.network(self._entrance.network)
        if question.key not in self._networks:
            self._networks[question.key] = question.network(self._entrance.network)
        return self._networks[question.key]

    def _decided(self, network: Graph, asked: Sequence[tuple[Input, Question]]) -> Iterator[Found]:
        """Yield the engine's answers about one network, by position in ``asked``."""
        if self._spec.mutation.mutations:
            paths = [(_way(one).path, question) for one, question in asked]
            yield from answered(self._prepared(network), paths, self._spec, self._block_bytes)
            return
        entries = [self._entry(network, *pair) for pair in asked]
        questions = [
            self._question(one, question, entry.before())
            for (one, question), entry in zip(asked, entries, strict=True)
        ]

        def watch(position: int, state: Callable[[], dict[str, Any]]) -> None:
            entries[position].note(state)

        budget = Budget(block_bytes=self._block_bytes)
        yield from map(Found.of, certify_many(self._prepared(network), questions, budget, watch))

    def _entry(self, network: Graph, one: Input, question: Question) -> Entry:
        """Begin to write down what becomes known of an input."""
        about = partial(digest, network, question, _way(one).path, self._spec, one.item)
        return self._journal.entry(one.index, cache(about))

    def _question(self, one: Input, question: Question, known: State) -> engine.Question:
        spec = self._spec
        return engine.Question(
            _way(one).path,
            question.label,
            question.margin,
            spec.analysis,
            spec.gap,
            spec.partition and question.key == (),  # else its scores are no classes
            spec.seconds_per_input,
            known,
            self._law,
            spec.method,
            spec.parts,
        )

    def _certified(self, one: Input, question: Question, known: Found, folder: pathlib.Path) -> InputReport:
        row, mutation, way = one.opening.row, self._spec.mutation, _way(one)
        answer = replace(known.report, law=self._spec.law.to_json()["type"])
        found = self._confirmed(way.images, known, question)
        if answer.verdict is Verdict.FALSIFIED and found is None:
            answer = _unconfirmed(answer, self._spec.arithmetic)
        seen = None if found is None else replace(found, image=found.image[: len(one.shown)])
        story = Story(
            one.shown,
            row.label,
            way.scene,
            mutation,
            self._domain,
            answer,
            seen,
            self._captions,
            known.region,
        )
        files, reached = story.draw(folder), max(0.0, answer.certified_to)
        return replace(
            row,
            verdict=answer.verdict,
            segment=answer,
            certified_value=mutation.value_within(reached),
            certified_parameters=mutation.parameters_within(reached),
            counterexample=None if found is None else self._counterexample(row, found, files),
            reason=answer.reason,
            next_step=answer.next_step,
            files=files,
            latent=self._told(way),
        )

    def _told(self, way: Way) -> dict[str, Any] | None:
        """Return what a row says of a path through a generator."""
        if self._entrance.generator is None or way.departure is None:
            return None
        return self._entrance.generator.told(way.departure)

    def _prepared(self, network: Graph) -> Program:
        """Return the program of a network; one that does not depend on the input is prepared once."""
        if self._program is None or self._program[0] is not network:
            self._program = network, prepare(network, self._device, self._spec.arithmetic)
        return self._program[1]

    def _confirmed(self, images: Images, known: Found, question: Question) -> Confirmed | None:
        if known.report.verdict is not Verdict.FALSIFIED:
            return None
        return confirm(self._runtimes, images, known.points, wrong=question.violated, domain=self._domain)

    def _counterexample(self, row: InputReport, found: Confirmed, files: tuple[str, ...]) -> Counterexample:
        mutation, image = self._spec.mutation, COUNTEREXAMPLE if files else None
        predicted, outputs = (None, found.outputs) if row.label is None else (found.predicted, ())
        if isinstance(found.t, float):
            value = mutation.value_at(found.t)
            return Counterexample(found.t, value, predicted, found.runtimes, image, outputs)
        parameters = mutation.parameters_at(found.t)
        return Counterexample(None, None, predicted, found.runtimes, image, outputs, parameters)

    @property
    def _domain(self) -> Preprocessing:
        return self._subject.items.preprocessing


def _way(one: Input) -> Way:
    assert one.way is not None, "a question is about a path"
    return one.way


def _unconfirmed(answer: SegmentReport, arithmetic: Arithmetic) -> SegmentReport:
    """A violation that no float32 runtime shows is no counterexample."""
    return replace(
        answer, verdict=Verdict.UNDECIDED, witnesses=(), reason="numeric", next_step=_UNSEEN[arithmetic]
    )


_UNSEEN = {
    Arithmetic.REAL: "The violation is proven for real numbers, but float32 runtimes do not show it; ask for "
    "a small margin to count such near ties as violations.",
    Arithmetic.FLOAT32: "The violation is proven for every plain float32 execution, but the runtimes here do "
    "not show it; ask for arithmetic real, and report it, as their kernels are none that the proof covers.",
}
