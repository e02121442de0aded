"""CSV tables: one input per row, the label first.

Without a header the first column is the label. A header may name a column ``label``, ``y``, ``class`` or
``target``; with a header that names none of them every column is a value. Integers from 0 to 255 become
uint8, everything else float32.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from glocert.data.limits import DataLimits
from glocert.data.store import Inputs, write_labels
from glocert.errors import DatasetTooLarge, InvalidImages, InvalidLabels, UnreadableDataset

_LABEL_NAMES = frozenset({"label", "labels", "y", "class", "target"})
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_NUMBERS = re.compile(r"[0-9+\-.eE]*(?:,[0-9+\-.eE]*)*")
_CELL_CHARACTERS = 40
_MOST_COLUMNS = 1_000_000
"""a row in memory takes a hundred times as much as its numbers"""


def read_csv(path: Path, out: Path, limits: DataLimits) -> dict[str, Any]:
    """Read a table of numbers, in two passes: the first one checks it, the second one stores it.

    Raises:
        DatasetRejected: a leaf of it that says what is wrong, with row and column counted from 1.
    """
    survey = _Survey(path, limits)
    dtype = np.dtype(np.uint8 if survey.small_integers else np.float64)
    labels = []
    with Inputs(out, (survey.rows, survey.width), dtype, limits) as inputs:
        for values in survey.values():
            if survey.label is not None:
                labels.append(values.pop(survey.label))
            inputs.append(np.array([values], dtype=np.float64).astype(dtype))
        report = {"format": "csv", **inputs.finish(), "labels": None}
    if survey.label is not None:
        report["labels"] = write_labels(out, np.array(labels).astype(np.int64), survey.rows)
    return report


class _Survey:
    """The first pass: how wide, how long, what kind of numbers, which column is the label."""

    def __init__(self, path: Path, limits: DataLimits) -> None:
        self._path, self._limits = path, limits
        self._skip = 0
        self.label: int | None = 0
        self.rows, self.small_integers = 0, True
        columns = 0
        for number, cells in self._cells():
            if columns == 0:
                columns = len(cells)
                if self._read_header(cells):
                    continue
            if len(cells) != columns:
                found, wanted = len(cells) - self._labels, columns - self._labels
                raise InvalidImages(f"row {number} has {found} pixel values, expected {wanted}")
            self._check_row(number, _numbers(number, cells))
        self.width = columns - self._labels
        if self.rows == 0 or self.width == 0:
            raise InvalidImages("the data set is empty")

    def values(self) -> Iterator[list[float]]:
        """Yield the numbers of every row, the label among them."""
        for number, cells in self._cells():
            if number > self._skip:
                yield _numbers(number, cells)

    @property
    def _labels(self) -> int:
        return 0 if self.label is None else 1

    def _read_header(self, cells: Sequence[str]) -> bool:
        """Take the first row as a header if not one of its cells is a number."""
        if any(_NUMBER.fullmatch(cell) for cell in cells):
            return False
        names = [cell.strip('"').lower() for cell in cells]
        self.label = next((at for at, name in enumerate(names) if name in _LABEL_NAMES), None)
        self._skip = 1
        return True

    def _check_row(self, number: int, values: list[float]) -> None:
        self.rows += 1
        if self.rows > self._limits.items:
            raise DatasetTooLarge(f"the table has more than {self._limits.items} rows")
        if self.label is not None:
            label = values.pop(self.label)
            if not label.is_integer() or abs(label) > 2**31:
                raise InvalidLabels(f"row {number}: labels must be integers")
        self.small_integers &= all(0 <= value <= 255 and value.is_integer() for value in values)

    def _cells(self) -> Iterator[tuple[int, list[str]]]:
        """Yield the number of every line that is not blank, and its cells."""
        longest = (self._limits.item_elements + 1) * 2 * _CELL_CHARACTERS
        try:
            with self._path.open(encoding="utf-8-sig", newline=None) as file:
                number = 0
                while line := file.readline(longest):
                    number += 1
                    if not line.endswith("\n") and len(line) >= longest:
                        raise DatasetTooLarge(f"row {number} is longer than {longest} characters")
                    if line.count(",") > _MOST_COLUMNS:
                        raise DatasetTooLarge(f"row {number} has more than {_MOST_COLUMNS} columns")
                    if line.strip():
                        yield number, [cell.strip() for cell in line.split(",")]
        except UnicodeDecodeError as error:
            raise UnreadableDataset("not a readable CSV: the encoding is not UTF-8") from error


def _numbers(number: int, cells: Sequence[str]) -> list[float]:
    """Return the cells as numbers; quotes, formulas, NaN and infinity are none."""
    if _NUMBERS.fullmatch(",".join(cells)):
        try:
            return [float(cell) for cell in cells]
        except ValueError:
            pass
    column = next((at for at, cell in enumerate(cells, 1) if not _NUMBER.fullmatch(cell)), len(cells))
    raise InvalidImages(f"row {number} column {column} is not a number")
