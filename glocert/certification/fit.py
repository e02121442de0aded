"""Whether data and network fit: shapes, axis orders, the range of the stored values, the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocert.errors import InvalidSpec
from glocert.graph.ir import Graph
from glocert.paths.items import arrangement
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.spec import Preprocessing

LAYOUTS = ("NCHW", "NHWC")
_CHANNELS = frozenset({1, 3, 4})
_BYTE = 255.0


@dataclass(frozen=True, slots=True)
class Stored:
    """How the data set lies in its file.

    Attributes:
        items: how many.
        shape: of one item.
        dtype: of its values.
        lowest: smallest value of all items.
        highest: largest value of all items.
    """

    items: int
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    lowest: float
    highest: float

    @classmethod
    def of(cls, array: NDArray[Any]) -> Stored:
        """Look at a data set, first axis = item."""
        ends = (float(array.min()), float(array.max())) if array.size else (0.0, 0.0)
        return cls(len(array), tuple(array.shape[1:]), array.dtype, *ends)

    @property
    def whole(self) -> bool:
        """Whether the values are integers, which ``scale`` divides by 255."""
        return bool(np.issubdtype(self.dtype, np.integer))

    @property
    def range(self) -> tuple[float, float]:
        """The usual range that the values seem to be in: [0, 1], [-1, 1], [0, 255], or their own."""
        if self.whole:
            return 0.0, _BYTE
        for low, high in ((0.0, 1.0), (-1.0, 1.0)):
            if low <= self.lowest and self.highest <= high:
                return low, high
        if len(self.shape) > 1 and self.lowest >= 0 and self.highest <= _BYTE:
            return 0.0, _BYTE
        return (self.lowest, self.highest) if self.lowest < self.highest else (self.lowest, self.lowest + 1)


def layouts(item_shape: Sequence[int], graph: Graph) -> tuple[str, ...]:
    """Return the axis orders under which items reach the network, the likely one first."""
    fitting = [layout for layout in LAYOUTS if image_shape(item_shape, graph, layout) is not None]
    shape = graph.input_shape
    last = len(shape) == 3 and shape[2] in _CHANNELS and shape[0] not in _CHANNELS
    return tuple(fitting[::-1] if last else fitting)


def image_shape(item_shape: Sequence[int], graph: Graph, layout: str) -> tuple[int, ...] | None:
    """Return the shape of items in the image domain, ``None`` where they do not fit the network."""
    try:
        shape = arrangement(item_shape, graph.input_shape, layout).shape
        prepend_preprocessing(graph, shape, Preprocessing(layout=layout))
    except InvalidSpec:
        return None
    return shape


def describe_fit(stored: Stored, graph: Graph, current: Preprocessing) -> dict[str, Any]:
    """Return what is known of data and network together, plain data.

    Returns:
        ``items``, ``item_shape``, ``dtype``, ``range``, ``input_shape``, ``layouts`` (those that fit, the
        likely one first), ``image_shape`` (under the first) and ``problems``, one sentence each.
    """
    fitting = layouts(stored.shape, graph)
    return {
        "items": stored.items,
        "item_shape": list(stored.shape),
        "dtype": str(stored.dtype),
        "range": [stored.lowest, stored.highest],
        "input_shape": list(graph.input_shape),
        "layouts": list(fitting),
        "image_shape": list(image_shape(stored.shape, graph, fitting[0]) or ()) if fitting else None,
        "problems": _problems(stored, graph, current, fitting),
    }


def _problems(stored: Stored, graph: Graph, current: Preprocessing, fitting: tuple[str, ...]) -> list[str]:
    item, taken = list(stored.shape), list(graph.input_shape)
    if not fitting:
        how = "hold other numbers of values" if prod(item) != prod(taken) else "have their axes elsewhere"
        return [f"Items of shape {item} do not fit the model's input of shape {taken}: they {how}."]
    found = []
    if current.layout not in fitting:
        found.append(f"Items of shape {item} fit with preprocessing.layout {fitting[0]} only.")
    scaled = replace(stored, lowest=stored.lowest / _BYTE, highest=stored.highest / _BYTE)
    seen = scaled if stored.whole and current.scale else stored
    if seen.lowest < current.lower or seen.highest > current.upper:
        found.append(
            f"Values from {seen.lowest:g} to {seen.highest:g} leave preprocessing.domain "
            f"[{current.lower:g}, {current.upper:g}]: such items are skipped."
        )
    return found


def describe_labels(labels: NDArray[np.int64] | None, classes: int) -> dict[str, Any]:
    """Return what is wrong with the labels of a data set, plain data.

    Args:
        labels: of all items, or ``None``.
        classes: scores that the network returns.

    Returns:
        ``labelled``; and for labelled data ``classes``, ``counts`` (per class), ``missing`` (classes without
        an item), ``outside`` (rows whose label the network cannot return, the first few), ``outside_count``.
    """
    if labels is None:
        return {"labelled": False, "problems": ["The data have no labels: no accuracy can be measured."]}
    outside = np.flatnonzero((labels < 0) | (labels >= classes))
    inside = labels[(labels >= 0) & (labels < classes)]
    counts = np.bincount(inside, minlength=classes)
    missing = np.flatnonzero(counts == 0)
    problems = []
    if len(outside):
        row = int(outside[0])
        problems.append(
            f"{len(outside)} labels are not among the model's {classes} classes, "
            f"the first in row {row}: {int(labels[row])}."
        )
    if len(missing):
        problems.append(f"{len(missing)} of {classes} classes have no item, the first is {int(missing[0])}.")
    return {
        "labelled": True,
        "classes": classes,
        "counts": counts.tolist(),
        "missing": missing.tolist(),
        "outside": [{"index": int(row), "label": int(labels[row])} for row in outside[:10]],
        "outside_count": len(outside),
        "problems": problems,
    }
