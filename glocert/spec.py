"""A certification request as data: what the API stores and the engine receives. No torch here.

Every class reads and writes JSON (``from_json``/``to_json``); the API validates the same fields with
pydantic before anything is stored, so a ``KeyError`` here means a bug, not bad input.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction
from typing import Any

from glocert.spec_law import LawSpec, UniformLaw, law_from_json


class Analysis(StrEnum):
    """Which of GCert's frameworks answers."""

    COMPLETE = "complete"
    QUANTITATIVE = "quantitative"
    INCOMPLETE = "incomplete"


class Method(StrEnum):
    """How an incomplete analysis bounds."""

    INTERVAL = "interval"
    ZONOTOPE = "zonotope"
    CROWN = "crown"


class Arithmetic(StrEnum):
    """What a certificate is a theorem about."""

    REAL = "real"
    FLOAT32 = "float32"


class Verdict(StrEnum):
    """Answer for one input."""

    CERTIFIED = "certified"
    FALSIFIED = "falsified"
    UNDECIDED = "undecided"
    SKIPPED = "skipped"


MUTATION_UNITS: Mapping[str, str] = {
    "brightness": "intensity",
    "contrast": "factor",
    "fog": "density",
    "haze": "density",
    "blend": "share",
    "noise": "amplitude",
    "chord": "share",
    "rotation": "degrees",
    "scaling": "factor",
    "shear": "factor",
    "translation": "pixels",
    "blur": "pixels",
    "latent": "latent",
    "composite": "steps",
    "box": "share",
}
"""Mutation type -> unit of its parameter, which is affine in t."""

NEUTRAL: Mapping[str, float] = {"contrast": 1.0, "scaling": 1.0}
"""Mutation type -> parameter that leaves an image as it is, where that is not 0."""


def _distance(x: float, y: float) -> float:
    """Return the length of (x, y), rounded downwards: what is certified to it is certified."""
    length = math.hypot(x, y)
    exact = Fraction(x) ** 2 + Fraction(y) ** 2
    while Fraction(length) ** 2 > exact:
        length = math.nextafter(length, 0.0)
    return length


_STOPS: Mapping[str, Callable[[Mapping[str, Any]], float]] = {
    "translation": lambda options: _distance(float(options["x"]), float(options["y"])),
    "blur": lambda options: float(options["sigma"]),
    "composite": lambda options: float(len(options["steps"])),
    "box": lambda _: 1.0,
}
"""Types that are not written with ``from`` and ``to``: their parameter starts at 0 and ends at this."""

_END: Mapping[str, str] = {"latent": "extent"}
"""What types call the end of their parameter that do not call it ``to``."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A value of one mutation's parameter.

    Attributes:
        type: of the mutation.
        t: share of its range, in [0, 1].
        value: the parameter there.
        unit: of the value.
    """

    type: str
    t: float
    value: float
    unit: str

    def to_json(self) -> dict[str, Any]:
        """Return the form that rows show."""
        return {"type": self.type, "t": self.t, "value": self.value, "unit": self.unit}


@dataclass(frozen=True, slots=True)
class Mutation:
    """A one-parameter family of images, or a ``box``: several of them at once.

    A ``translation`` has the distance that was moved as its parameter, a ``blur`` its sigma. The parameter of
    a ``composite`` counts steps: at 1.25 the first step is over and a quarter of the second is done. A
    ``box`` has a parameter for each of its mutations; its own is the share s: [0, s] of all ranges.

    Attributes:
        type: a key of ``MUTATION_UNITS``.
        start: value of the parameter at t = 0, in ``unit``.
        stop: value at t = 1.
        options: what the type needs besides: ``about`` (contrast), ``seed`` (fog, haze, noise),
            ``overlay`` (blend: ``{"item": i}``, ``{"level": x}`` or ``{"png": base64}``), ``item`` (chord),
            ``x`` and ``y`` (translation), ``sigma`` (blur), ``steps`` (composite: mutations as JSON),
            ``mutations`` (box: likewise), and what ``glocert.spec_latent`` reads (latent).

    The parameter of a ``latent`` mutation is its distance in the latent space. Where a direction has a scale,
    values are shown in its unit.
    """

    type: str
    start: float
    stop: float
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def unit(self) -> str:
        """Unit of the parameter, as users know it."""
        scale = self.options.get("scale")
        return str(scale["unit"]) if scale else MUTATION_UNITS[self.type]

    def value_at(self, t: float) -> float:
        """Return the parameter at ``t`` in [0, 1], correctly rounded: ``start`` and ``stop`` at the ends."""
        start, stop = self._ends()
        return float(start + Fraction(t) * (stop - start))

    def value_within(self, t: float) -> float:
        """Return the parameter at ``t`` rounded towards ``start``: what is certified to ``t`` covers it."""
        start, stop = self._ends()
        exact, rounded = start + Fraction(t) * (stop - start), self.value_at(t)
        beyond = Fraction(rounded) > exact if stop > start else Fraction(rounded) < exact
        return math.nextafter(rounded, float(start)) if beyond else rounded

    def _ends(self) -> tuple[Fraction, Fraction]:
        """Return the parameter at both ends, exactly, in the unit that is shown."""
        scale = self.options.get("scale")
        per = Fraction(float(scale["per_latent"])) if scale else Fraction(1)
        return Fraction(self.start) * per, Fraction(self.stop) * per

    def to_json(self) -> dict[str, Any]:
        """Return the form that the API takes and shows."""
        end = _END.get(self.type, "to")
        ends = {} if self.type in _STOPS else {"from": self.start, end: self.stop}
        return {"type": self.type, **ends, **self.options}

    @property
    def steps(self) -> tuple[Mutation, ...]:
        """The steps of a ``composite``."""
        return tuple(Mutation.from_json(step) for step in self.options["steps"])

    @property
    def mutations(self) -> tuple[Mutation, ...]:
        """The mutations of a ``box``, one per parameter; none of any other type."""
        return tuple(Mutation.from_json(one) for one in self.options.get("mutations", ()))

    def parameters_at(self, t: Sequence[float]) -> tuple[Parameter, ...]:
        """Return the parameters of a ``box`` at a point, each correctly rounded."""
        pairs = zip(self.mutations, t, strict=True)
        return tuple(Parameter(one.type, at, one.value_at(at), one.unit) for one, at in pairs)

    def parameters_within(self, t: float) -> tuple[Parameter, ...]:
        """Return where [0, t] of every range of a ``box`` ends, rounded towards ``start``; else nothing."""
        return tuple(Parameter(one.type, t, one.value_within(t), one.unit) for one in self.mutations)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Mutation:
        """Read the form that the API stores."""
        end = _END.get(data["type"], "to")
        options = {key: value for key, value in data.items() if key not in {"type", "from", end}}
        if stop := _STOPS.get(data["type"]):
            return cls(data["type"], 0.0, stop(options), options)
        return cls(data["type"], float(data["from"]), float(data[end]), options)


def is_latent(mutation: Mutation) -> bool:
    """Whether the path goes through a generator; those of a ``box`` do so together or not at all."""
    return "latent" in {mutation.type, *(one.type for one in mutation.mutations)}


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """How a stored item becomes the network's input; part of the certified function.

    An item is first brought to the image domain: ``(channels, height, width)`` floats, integers divided by
    255 in float32 when ``scale``. The mutation and the clamp act there. Then ``(x - mean) / std`` by channel,
    a transposition for ``NHWC`` networks and a reshape to the network's own input shape.

    Attributes:
        scale: divide integer items by 255.
        mean: subtracted per channel (one value serves all channels); empty means 0.
        std: divisor per channel; empty means 1.
        layout: what the network expects, ``NCHW`` or ``NHWC``.
        lower: smallest value of the input domain; the path is clamped to it.
        upper: largest value of the input domain.
    """

    scale: bool = True
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    layout: str = "NCHW"
    lower: float = 0.0
    upper: float = 1.0

    def to_json(self) -> dict[str, Any]:
        """Return the form that the API takes and shows."""
        return {
            "scale": self.scale,
            "mean": list(self.mean),
            "std": list(self.std),
            "layout": self.layout,
            "domain": [self.lower, self.upper],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Preprocessing:
        """Read the form that the API stores; absent members take their defaults."""
        lower, upper = data.get("domain") or (0.0, 1.0)
        return cls(
            scale=bool(data.get("scale", True)),
            mean=tuple(map(float, data.get("mean") or ())),
            std=tuple(map(float, data.get("std") or ())),
            layout=str(data.get("layout") or "NCHW"),
            lower=float(lower),
            upper=float(upper),
        )


@dataclass(frozen=True, slots=True)
class Label:
    """The label's score exceeds all others along the path."""

    def to_json(self) -> dict[str, Any]:
        """Return the form that the API takes and shows."""
        return {"type": "label"}


@dataclass(frozen=True, slots=True)
class Band:
    """Every output stays closer than ``width`` to its value at the start of the path.

    Attributes:
        width: > 0, in the unit of the outputs.
    """

    width: float

    def to_json(self) -> dict[str, Any]:
        """Return the form that the API takes and shows."""
        return {"type": "band", "width": self.width}


MOST_RANKED = 128
"""Most classes among which a label's rank is certified: so many scores are sorted by nodes of the graph."""


@dataclass(frozen=True, slots=True)
class TopK:
    """The label's score stays among the k highest along the path; a tie counts against it.

    Attributes:
        k: >= 1 and below the number of classes; 1 is the label property.
    """

    k: int

    def to_json(self) -> dict[str, Any]:
        """Return the form that the API takes and shows."""
        return {"type": "top_k", "k": self.k}


Property = Label | Band | TopK
PROPERTIES = ("label", "top_k", "band")
"""Types of properties."""


def property_from_json(data: Mapping[str, Any] | None) -> Property:
    """Read the form that the API stores; jobs made before there was a choice say nothing."""
    if data is None or data["type"] == "label":
        return Label()
    if data["type"] == "band":
        return Band(float(data["width"]))
    if data["type"] == "top_k":
        return TopK(int(data["k"]))
    raise ValueError(f"no property {data['type']!r}")


@dataclass(frozen=True, slots=True)
class SegmentSpec:
    """One segment certification of many inputs.

    Attributes:
        mutation: the path.
        analysis: ``complete``, ``quantitative`` or ``incomplete``.
        arithmetic: what the answer is a theorem about.
        margin: the label's score must exceed every other score by more than this.
        gap: largest accepted U - L of the robust mass (quantitative).
        seconds_per_input: budget of one input.
        partition: whether rows list the label of every part of the path.
        property: what must hold on the whole path.
        law: of the mutation's parameter: what the robust mass is the probability under.
        paired: every item is two images on the channel axis, and only the first one is mutated.
        method: of an incomplete analysis.
        parts: equal parts of the path that an incomplete analysis bounds, each once; >= 1.
    """

    mutation: Mutation
    analysis: Analysis = Analysis.COMPLETE
    arithmetic: Arithmetic = Arithmetic.REAL
    margin: float = 0.0
    gap: float = 0.001
    seconds_per_input: float = 30.0
    partition: bool = False
    property: Property = Label()
    law: LawSpec = field(default_factory=UniformLaw)
    paired: bool = False
    method: Method = Method.CROWN
    parts: int = 1

    def to_json(self) -> dict[str, Any]:
        """Return the part of the job body that concerns the engine."""
        return {
            "mutation": self.mutation.to_json(),
            "analysis": self.analysis.value,
            "method": self.method.value,
            "parts": self.parts,
            "arithmetic": self.arithmetic.value,
            "margin": self.margin,
            "gap": self.gap,
            "budget": {"seconds_per_input": self.seconds_per_input},
            "partition": self.partition,
            "property": self.property.to_json(),
            "law": self.law.to_json(),
            "paired": self.paired,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> SegmentSpec:
        """Read a stored job body; members that do not concern the engine are ignored."""
        return cls(
            mutation=Mutation.from_json(data["mutation"]),
            analysis=Analysis(data.get("analysis", "complete")),
            arithmetic=Arithmetic(data.get("arithmetic", "real")),
            margin=float(data.get("margin", 0.0)),
            gap=float(data.get("gap", 0.001)),
            seconds_per_input=float((data.get("budget") or {}).get("seconds_per_input", 30.0)),
            partition=bool(data.get("partition", False)),
            property=property_from_json(data.get("property")),
            law=law_from_json(data.get("law")),
            paired=bool(data.get("paired", False)),
            method=Method(data.get("method", "crown")),
            parts=int(data.get("parts", 1)),
        )
