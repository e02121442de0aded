"""The answers of a prediction: parts that units left, joined, counted and written in one file."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocert.report_lipschitz import QUANTILES
from glocert.spec_lipschitz import epsilon_key

PART = "part-"
"""names of parts begin with this; they are gone when the job has ended"""
MEDIA_TYPES = {"npz": "application/octet-stream", "csv": "text/csv", "jsonl": "application/x-ndjson"}
BOTTOM = -1


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """The answers about many inputs; every array has one row per input.

    Attributes:
        index: position in the data set, int64, ascending.
        epsilons: radii that were asked for, float64, shape (E,).
        answer: class where it is certified, else -1, int64, shape (N, E).
        certified: bool, shape (N, E).
        best: class of the highest score, -1 where a score is not finite; int64.
        margin: by how much it leads; NaN where a number is not finite.
        radius: l2, raw units; nothing closer has another label.
        inside: whether the input lies in the domain.
        label: of the data set, -1 where it has none.
        seconds: of verifying nothing, answering only; one per part.
    """

    index: NDArray[np.int64]
    epsilons: NDArray[np.float64]
    answer: NDArray[np.int64]
    certified: NDArray[np.bool_]
    best: NDArray[np.int64]
    margin: NDArray[np.float64]
    radius: NDArray[np.float64]
    inside: NDArray[np.bool_]
    label: NDArray[np.int64]
    seconds: NDArray[np.float64]

    @classmethod
    def joined(cls, paths: Sequence[Path]) -> Predictions:
        """Return what the parts hold, by index."""
        parts = [_read(path) for path in paths]
        order = np.argsort(np.concatenate([part["index"] for part in parts]), kind="stable")
        members: dict[str, Any] = {}
        for name in (field.name for field in fields(cls)):
            if name == "epsilons":
                members[name] = parts[0][name]
            else:
                whole = np.concatenate([part[name] for part in parts])
                members[name] = whole if name == "seconds" else whole[order]
        return cls(**members)

    @property
    def labelled(self) -> bool:
        """Whether the data have labels."""
        return bool((self.label >= 0).all())

    def encoded(self, kind: str) -> bytes:
        """Return the file in one of the formats."""
        if kind == "npz":
            out = io.BytesIO()
            members = {field.name: getattr(self, field.name) for field in fields(self)}
            del members["seconds"]
            if not self.labelled:
                del members["label"]
            np.savez_compressed(out, **members)
            return out.getvalue()
        return "".join(self._lines() if kind == "jsonl" else self._table()).encode()

    def summary(self) -> dict[str, Any]:
        """Return the rates; a share is of all inputs."""
        keys = [epsilon_key(float(epsilon)) for epsilon in self.epsilons]
        answered = self.certified.sum(axis=0)
        ascending = np.sort(self.radius)
        return {
            "inputs": len(self.index),
            "epsilons": self.epsilons.tolist(),
            "answered": dict(zip(keys, map(int, answered), strict=True)),
            "rejection_rate": _shares(keys, ~self.certified),
            "outside_domain": int((~self.inside).sum()),
            "radius_quantiles": {repr(q): float(ascending[_place(q, len(ascending))]) for q in QUANTILES},
            **self._rates(keys),
            "milliseconds_per_input": 1e3 * float(self.seconds.sum()) / len(self.index),
        }

    def _rates(self, keys: Sequence[str]) -> dict[str, Any]:
        if not self.labelled:
            return {"clean_accuracy": None, "vra": None, "certified_but_wrong": None}
        right = self.best == self.label
        return {
            "clean_accuracy": float(right.mean()),
            "vra": _shares(keys, self.certified & right[:, None]),
            "certified_but_wrong": _shares(keys, self.certified & ~right[:, None]),
        }

    def _rows(self) -> Iterator[dict[str, Any]]:
        names = ("index", "best", "margin", "radius", "inside", "label")
        columns = [getattr(self, name).tolist() for name in names]
        for values, answers in zip(zip(*columns, strict=True), self.answer.tolist(), strict=True):
            row = dict(zip(names, values, strict=True))
            row["margin"] = row["margin"] if math.isfinite(row["margin"]) else None
            for name in ("best", "label"):
                row[name] = row[name] if row[name] >= 0 else None
            yield row | {"answers": [None if answer == BOTTOM else answer for answer in answers]}

    def _lines(self) -> Iterator[str]:
        keys = [epsilon_key(float(epsilon)) for epsilon in self.epsilons]
        for row in self._rows():
            answers = row.pop("answers")
            row["class"] = dict(zip(keys, answers, strict=True))
            row["certified"] = {key: answer is not None for key, answer in row["class"].items()}
            yield json.dumps(row, allow_nan=False) + "\n"

    def _table(self) -> Iterator[str]:
        keys = [epsilon_key(float(epsilon)) for epsilon in self.epsilons]
        names = ["index", "label", "best", "margin", "radius", "inside", *(f"class@{key}" for key in keys)]
        yield _record(names)
        for row in self._rows():
            plain = [row[name] for name in names[:5]]
            yield _record([*plain, str(row["inside"]).lower(), *row["answers"]])


def _record(values: Sequence[Any]) -> str:
    """Return a line of a table; what is not there is an empty field, so bottom is one."""
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerow(["" if value is None else value for value in values])
    return out.getvalue()


def _shares(keys: Sequence[str], holds: NDArray[np.bool_]) -> dict[str, float]:
    return dict(zip(keys, map(float, holds.mean(axis=0)), strict=True))


def _place(share: float, count: int) -> int:
    return max(0, math.ceil(share * count) - 1)


def _read(path: Path) -> Mapping[str, Any]:
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}
