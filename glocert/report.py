"""What a certification says about one input, as plain data. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from glocert.spec import Parameter, Verdict


@dataclass(frozen=True, slots=True)
class Interval:
    """A proven enclosure of one number."""

    lower: float
    upper: float

    def to_json(self) -> dict[str, float]:
        """Return ``{"lower", "upper"}``."""
        return {"lower": self.lower, "upper": self.upper}


WHOLE = Interval(1.0, 1.0)
"""the probability of what always holds"""


@dataclass(frozen=True, slots=True)
class LabelInterval:
    """A part of the path on which the label of the computed curve is constant.

    The ends are the computed label changes; within the radius of the proof a change may lie a little off.
    """

    start: float
    stop: float
    label: int

    def to_json(self) -> dict[str, float | int]:
        """Return ``{"from", "to", "label"}``."""
        return {"from": self.start, "to": self.stop, "label": self.label}


@dataclass(frozen=True, slots=True)
class SegmentReport:
    """Answer of the engine about one segment and one label.

    Attributes:
        verdict: ``certified``, ``falsified`` or ``undecided``; ``falsified`` here means that the violation is
            proven in real arithmetic, the caller still confirms it by running the network.
        robust_mass: probability under ``law`` that the property holds, enclosed.
        certified_to: the property is proven on all of [0, certified_to]^dimensions; -1.0 when not even at
            t = 0.
        min_margin: smallest margin found on the computed curve; means nothing with several parameters, like
            the two that follow.
        min_margin_at: its t.
        radius: proven bound on the error of every margin of the computed curve.
        witnesses: t of proven violations, best first; empty unless ``verdict`` is ``falsified``.
        partition: labels along the path where asked for, else empty.
        pieces: linear pieces of the computed curve, or parts of the path, that were looked at.
        family: ``exact`` where the network was followed exactly, ``enclosure`` where it was bounded.
        reason: why ``undecided``: ``budget``, ``tie``, ``numeric``, ``non-finite`` or ``incomplete``.
        next_step: what the user can do about it.
        law: name of the law of t; with ``uniform`` the robust mass is a share of [0, 1].
        method: of an incomplete analysis, which may leave open what is true; else empty. Its ``min_margin``
            is the lowest proven lower bound.
        dimensions: parameters of the path. With several, ``witnesses`` is empty: a point is no number.
    """

    verdict: Verdict
    robust_mass: Interval
    certified_to: float
    min_margin: float
    min_margin_at: float
    radius: float
    witnesses: tuple[float, ...] = ()
    partition: tuple[LabelInterval, ...] = ()
    pieces: int = 0
    reason: str = ""
    next_step: str = ""
    family: str = "exact"
    law: str = "uniform"
    method: str = ""
    dimensions: int = 1


@dataclass(frozen=True, slots=True)
class Counterexample:
    """An input on the path that the network gets wrong, seen in more than one runtime.

    Attributes:
        t: where on the path; ``None`` where it has several parameters.
        value: the mutation's parameter there; likewise.
        predicted: label that the runtimes give; ``None`` where the property is no label's.
        confirmed_in: names of the runtimes, float32.
        image: name of the picture file in the unit's output folder, ``None`` for inputs that are no pictures.
        outputs: of the network in torch; empty where the property is a label's.
        parameters: where, on a path of several parameters; else empty.
    """

    t: float | None
    value: float | None
    predicted: int | None
    confirmed_in: tuple[str, ...]
    image: str | None = "counterexample.png"
    outputs: tuple[float, ...] = ()
    parameters: tuple[Parameter, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the member of the row."""
        members: dict[str, Any] = {
            "t": self.t,
            "value": self.value,
            "predicted": self.predicted,
            "image": self.image,
            "confirmed_in": list(self.confirmed_in),
        }
        if self.parameters:
            members["parameters"] = [parameter.to_json() for parameter in self.parameters]
        return members | ({"outputs": list(self.outputs)} if self.outputs else {})


@dataclass(frozen=True, slots=True)
class InputReport:
    """One row of a job's results.

    Attributes:
        index: position in the data set.
        label: label of the data set, or the network's own where there is none; ``None`` for bands.
        predicted: label at the original input; ``None`` for bands.
        verdict: ``certified``, ``falsified``, ``undecided`` or ``skipped``.
        seconds: wall time spent on this input.
        unit: unit of the mutation's parameter.
        certified_value: the mutation's parameter at ``segment.certified_to``.
        segment: numbers of the engine; ``None`` for skipped inputs.
        counterexample: for falsified inputs.
        reason: why ``undecided`` or ``skipped``.
        next_step: what the user can do about it.
        files: names of its pictures.
        centre: the float64 numbers about which a band is certified; empty where the property is a label's.
        outputs: of the network at the original input, float32 in torch; empty likewise.
        certified_parameters: where ``segment.certified_to`` of every range ends, on a path of several
            parameters; else empty.
        latent: of a path through a generator: its code, how well that stands for the input, and how the image
            moves; plain data, ``None`` for other paths.
    """

    index: int
    label: int | None
    predicted: int | None
    verdict: Verdict
    seconds: float
    unit: str = ""
    certified_value: float = 0.0
    segment: SegmentReport | None = None
    counterexample: Counterexample | None = None
    reason: str = ""
    next_step: str = ""
    files: tuple[str, ...] = field(default=())
    centre: tuple[float, ...] = ()
    outputs: tuple[float, ...] = ()
    certified_parameters: tuple[Parameter, ...] = ()
    latent: Mapping[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Return the row of ``GET /v1/jobs/{id}/results``."""
        row: dict[str, Any] = {
            "index": self.index,
            "label": self.label,
            "predicted": self.predicted,
            "verdict": self.verdict.value,
            "seconds": self.seconds,
        }
        if self.reason:
            row |= {"reason": self.reason, "next_step": self.next_step}
        if self.segment is not None:
            row |= self._segment_json(self.segment)
        if self.outputs:
            row["outputs"] = list(self.outputs)
        if self.centre:
            row["centre"] = list(self.centre)
        if self.latent is not None:
            row["latent"] = dict(self.latent)
        if self.counterexample is not None:
            row["counterexample"] = self.counterexample.to_json()
        return row

    def _segment_json(self, segment: SegmentReport) -> dict[str, Any]:
        members: dict[str, Any] = {
            "robust_mass": {**segment.robust_mass.to_json(), "law": segment.law},
            "pieces": segment.pieces,
            "family": segment.family,
            "certified_to": self._reached(segment),
        }
        if segment.dimensions == 1:
            members["min_margin"] = {"value": segment.min_margin, "t": segment.min_margin_at}
            members["error_radius"] = segment.radius
        if segment.method:
            members |= {"analysis": "incomplete", "method": segment.method}
        if segment.partition:
            members["partition"] = [part.to_json() for part in segment.partition]
        return members

    def _reached(self, segment: SegmentReport) -> dict[str, Any] | None:
        if segment.certified_to < 0:
            return None
        reached = {"t": segment.certified_to, "value": self.certified_value, "unit": self.unit}
        if not self.certified_parameters:
            return reached
        return reached | {"parameters": [parameter.to_json() for parameter in self.certified_parameters]}
