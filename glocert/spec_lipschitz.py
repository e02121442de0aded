"""A Lipschitz certification as data: what is asked, and the row that answers for one input. No torch here."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from glocert.spec import Verdict


class Distance(StrEnum):
    """How far an input moves, and with it the unit of every radius."""

    L1 = "l1"
    L2 = "l2"
    LINF = "linf"


class LipschitzMethod(StrEnum):
    """Whose radius counts."""

    GLOBAL = "global"
    LOCAL = "local"
    PORTFOLIO = "portfolio"


class Execution(StrEnum):
    """Whose scores a certificate is about: real numbers, or a float32 runtime that sums in any order."""

    REAL = "real"
    FLOAT32 = "float32"


@dataclass(frozen=True, slots=True)
class TopK:
    """The set of the k best classes must not change, for some k up to ``most``.

    Attributes:
        most: >= 1 and below the number of classes; 1 is the plain question.
    """

    most: int

    def to_json(self) -> dict[str, Any]:
        """Return the form that the API takes and shows."""
        return {"top_k": self.most}


@dataclass(frozen=True, slots=True)
class Affinity:
    """The set of the k best classes must not change, for some k at which they lie in one of the groups.

    Attributes:
        groups: sets of labels that may be confused; they may overlap.
    """

    groups: tuple[tuple[int, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """Return the form that the API takes and shows."""
        return {"affinity": [list(group) for group in self.groups]}


Relaxation = TopK | Affinity


def relaxation_from_json(data: Mapping[str, Any] | None) -> Relaxation | None:
    """Read the form that the API stores."""
    if data is None:
        return None
    if "top_k" in data:
        return TopK(int(data["top_k"]))
    return Affinity(tuple(tuple(map(int, group)) for group in data["affinity"]))


def epsilon_key(epsilon: float) -> str:
    """Return the shortest text that reads back as ``epsilon``: the key of members per epsilon."""
    return repr(float(epsilon)).removesuffix(".0")


@dataclass(frozen=True, slots=True)
class LipschitzSpec:
    """One Lipschitz certification of many inputs.

    Attributes:
        epsilons: distances at which inputs are to be certified, raw input units, each >= 0 and finite.
        norm: in which distances are measured.
        method: whose radius counts.
        relaxation: what may change nevertheless; ``None``: nothing.
        arithmetic: whose scores the certificate is about.
        seconds_per_input: what ``local`` and ``portfolio`` may spend on one input, on average.
    """

    epsilons: tuple[float, ...]
    norm: Distance = Distance.L2
    method: LipschitzMethod = LipschitzMethod.GLOBAL
    relaxation: Relaxation | None = None
    arithmetic: Execution = Execution.FLOAT32
    seconds_per_input: float = 5.0

    def to_json(self) -> dict[str, Any]:
        """Return the part of the job body that concerns the engine."""
        return {
            "epsilons": list(self.epsilons),
            "norm": self.norm.value,
            "method": self.method.value,
            "relaxation": None if self.relaxation is None else self.relaxation.to_json(),
            "arithmetic": self.arithmetic.value,
            "budget": {"seconds_per_input": self.seconds_per_input},
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> LipschitzSpec:
        """Read a stored job body; members that do not concern the engine are ignored."""
        return cls(
            epsilons=tuple(map(float, data["epsilons"])),
            norm=Distance(data.get("norm", "l2")),
            method=LipschitzMethod(data.get("method", "global")),
            relaxation=relaxation_from_json(data.get("relaxation")),
            arithmetic=Execution(data.get("arithmetic", "float32")),
            seconds_per_input=float((data.get("budget") or {}).get("seconds_per_input", 5.0)),
        )


@dataclass(frozen=True, slots=True)
class LipschitzRow:
    """What is proven of one input.

    Attributes:
        index: position in the data set.
        label: label of the data set; ``None`` where there is none.
        predicted: the network's answer in the arithmetic that was asked for; ``None`` where it has none.
        radius: rounded down, in the norm and unit of the request: nothing closer gets another answer. May be
            infinite.
        certified: per epsilon, in the order of the request.
        robust: per epsilon: certified, and the label is among what is guaranteed (plain: is the answer).
            Unlabelled inputs: the same as ``certified``.
        method: which radius won: ``global``, ``local`` or ``backward``; empty for skipped inputs.
        seconds: wall time spent on this input, its share of the batch.
        guaranteed: per epsilon the numbers k for which the set of the k best classes is certified; empty
            without a relaxation.
        plain: radius without the relaxation, ``None`` where there is none.
        reason: why ``undecided`` or ``skipped``.
        next_step: what the user can do about it.
        members: method -> radius that was proven when it was done, without the relaxation; empty for skipped
            inputs.
        forward: seconds of ``seconds`` after which the global radius was known.
    """

    index: int
    label: int | None
    predicted: int | None
    radius: float
    certified: Mapping[str, bool]
    robust: Mapping[str, bool]
    method: str
    seconds: float = 0.0
    guaranteed: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    plain: float | None = None
    reason: str = ""
    next_step: str = ""
    members: Mapping[str, float] = field(default_factory=dict)
    forward: float = 0.0

    @property
    def correct(self) -> bool | None:
        """Whether the network answers the label; ``None`` where there is no label."""
        return None if self.label is None else self.predicted == self.label

    @property
    def without_relaxation(self) -> float:
        """Radius of the best class alone."""
        return self.radius if self.plain is None else self.plain

    @property
    def verdict(self) -> Verdict:
        """``certified``: robust at every epsilon; ``skipped``: wrong at the input itself, or no input at all.

        A bound shows no counterexample: what is not certified is undecided, never falsified.
        """
        if self.method and all(self.robust.values()):
            return Verdict.CERTIFIED
        nothing_to_show = not self.method or self.reason == "misclassified"
        return Verdict.SKIPPED if nothing_to_show else Verdict.UNDECIDED

    def to_json(self) -> dict[str, Any]:
        """Return the row of ``GET /v1/jobs/{id}/results``; a radius without end is ``null``."""
        row: dict[str, Any] = {
            "index": self.index,
            "label": self.label,
            "predicted": self.predicted,
            "correct": self.correct,
            "verdict": self.verdict.value,
            "radius": _number(self.radius),
            "certified": dict(self.certified),
            "robust": dict(self.robust),
            "method": self.method,
            "members": {name: _number(radius) for name, radius in self.members.items()},
            "seconds": self.seconds,
            "forward_seconds": self.forward,
        }
        if self.plain is not None:
            row["plain_radius"] = _number(self.plain)
            row["guaranteed"] = {key: list(sizes) for key, sizes in self.guaranteed.items()}
        if self.reason:
            row |= {"reason": self.reason, "next_step": self.next_step}
        return row

    @classmethod
    def from_json(cls, row: Mapping[str, Any]) -> LipschitzRow:
        """Read what ``to_json`` wrote."""
        plain = row.get("plain_radius", 0.0)
        return cls(
            index=int(row["index"]),
            label=row["label"],
            predicted=row["predicted"],
            radius=_read(row["radius"]),
            certified=row["certified"],
            robust=row["robust"],
            method=row["method"],
            seconds=float(row["seconds"]),
            guaranteed={key: tuple(sizes) for key, sizes in row.get("guaranteed", {}).items()},
            plain=_read(plain) if "plain_radius" in row else None,
            reason=row.get("reason", ""),
            next_step=row.get("next_step", ""),
            members={name: _read(radius) for name, radius in row.get("members", {}).items()},
            forward=float(row.get("forward_seconds", row["seconds"])),
        )


def _number(radius: float) -> float | None:
    """JSON has no infinity."""
    return radius if math.isfinite(radius) else None


def _read(radius: float | None) -> float:
    return math.inf if radius is None else float(radius)
