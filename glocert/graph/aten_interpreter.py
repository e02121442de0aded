"""How an ATen operator is evaluated on names and shapes: variables, shared memory, functions at the end."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glocert.errors import Offence
from glocert.graph import aten_operators
from glocert.graph.aten_lists import (
    IDENTITIES,
    MIXING,
    ON_LENGTHS,
    ON_LISTS,
    ON_NUMBERS,
    TAILS,
    FirstLayer,
    base,
    first_layer,
)
from glocert.graph.aten_operators.folding import FOLDED, folded
from glocert.graph.aten_operators.registry import (
    OPERATORS,
    PER_BATCH,
    UNKNOWN,
    Call,
    Cell,
    Missing,
    PerBatch,
    Scores,
    Unknown,
    Withheld,
)
from glocert.graph.aten_program import Instruction, Program
from glocert.graph.builder import GraphBuilder
from glocert.graph.imported import class_axis
from glocert.graph.refusals import Refusals
from glocert.graph.single import Single
from glocert.graph.values import BATCH, Activation, Batch, Constant, Emitter, Unsupported, Value

__all__ = ["Interpreter", "aten_operators"]


@dataclass(slots=True)
class Interpreter:
    """What is known while a program is read.

    Attributes:
        program: what is read.
        dtype: ``float32`` or ``float64``.
        builder: the graph under construction.
        batch: what the upload demands of its batch axis.
        refusals: everything that is wrong.
        counts: operators on tensors that were read.
        notes: what the user should know.
        first: the first layer with weights that was met.
        single: what is known as a whole, where the program is read for a batch of one.
    """

    program: Program
    dtype: str
    builder: GraphBuilder
    batch: Batch = field(default_factory=Batch)
    refusals: Refusals = field(default_factory=Refusals)
    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    first: FirstLayer | None = None
    single: Single | None = None
    _values: dict[int, Any] = field(default_factory=dict)
    _weights: dict[str, Cell] = field(default_factory=dict)
    _paths: dict[int, str] = field(default_factory=dict)
    _refused: set[str] = field(default_factory=set)
    _turns: int = 0

    def _refuse(self, instruction: Instruction, refusal: Unsupported) -> None:
        if instruction.where not in self._refused:
            self._refused.add(instruction.where)
            offence = Offence(instruction.where, refusal.detail, instruction.kind, refusal.way_out)
            self.refusals.operators.append(offence)

    def _misfit(self, instruction: Instruction, detail: str) -> None:
        self.refusals.structure.append(Offence(instruction.where, detail, instruction.kind))
        self._lose(instruction)

    def _lose(self, instruction: Instruction) -> None:
        """Go on without what was to be made; a number out of a tensor depends on its content."""
        from_tensor = any(isinstance(self._values[number], Cell) for number in instruction.inputs)
        for output in instruction.outputs:
            number = Missing() if from_tensor else UNKNOWN
            self._values[output.number] = Cell(Missing()) if output.is_tensor else number

    def _operation(self, instruction: Instruction, values: list[Any]) -> Any:
        kind = base(instruction.kind)
        on_list = instruction.kind in ON_LISTS and isinstance(values[0], list | tuple)
        if on_list and _lost(tuple(values[1:])) is None:
            return OPERATORS[kind].function(self._call(instruction, kind, tuple(values), self.batch))
        result: Any
        if kind in TAILS and self._may_be_last(kind, values):
            result = self._scores(instruction, kind, values)
        elif kind in IDENTITIES and isinstance(values[0], Cell) and isinstance(values[0].value, Scores):
            result = _fresh(values[0]).value
        else:
            result = self._computed(instruction, kind, tuple(self._plain(value) for value in values))
        if instruction.kind != kind:
            return self._in_place(instruction, values[0], result)
        shared = OPERATORS[kind].shares and bool(values) and isinstance(values[0], Cell)
        storage = values[0].storage if shared else None
        return self._in_cells(instruction, result, storage)

    def _in_cells(self, instruction: Instruction, result: Any, storage: list[Cell] | None) -> Any:
        """Put tensors into variables, which share ``storage`` where there is one."""
        if isinstance(result, list | tuple) and any(_is_tensor(entry) for entry in result):
            self.counts[instruction.kind] += 1
            cells = [self._cell(entry, storage) if _is_tensor(entry) else entry for entry in result]
            return cells if isinstance(result, list) else tuple(cells)
        if not _is_tensor(result):
            return result
        self.counts[instruction.kind] += 1
        return self._cell(result, storage)

    def _cell(self, value: Any, storage: list[Cell] | None) -> Cell:
        return Cell(value) if storage is None else Cell(value, storage)

    def _computed(self, instruction: Instruction, kind: str, arguments: tuple[Any, ...]) -> Any:
        lost = _lost(arguments)
        if lost is not None:
            return self._behind(instruction, kind, arguments, lost)
        if self.program.branches and kind in ON_LENGTHS and _depends_on_batch(kind, arguments):
            return PER_BATCH
        if any(isinstance(argument, PerBatch) for argument in _flat(arguments)):
            raise Unsupported("it computes with the length of the batch", "Use -1 for the batch axis.")
        if kind in ON_NUMBERS:
            arguments = _as_numbers(kind, arguments)
        if kind in FOLDED and _is_fixed(arguments):
            return folded(self._call(instruction, kind, arguments, self.batch))

        def compute(inputs: tuple[Any, ...], batch: Batch) -> Any:
            return OPERATORS[kind].function(self._call(instruction, kind, inputs, batch))

        if self.single is None:
            return compute(arguments, self.batch)
        return self.single.apply(arguments, compute, mixes=kind in MIXING)

    def _call(self, instruction: Instruction, kind: str, arguments: tuple[Any, ...], batch: Batch) -> Call:
        output = instruction.outputs[0].name
        emitter = Emitter(self.builder, batch, instruction.where, instruction.kind, output)
        names, overload = instruction.names, instruction.overload
        return Call(kind, arguments, emitter, self.dtype, names, overload, self.notes)

    def _plain(self, value: Any) -> Any:
        """Look into variables, and refuse to read what is no longer true."""
        if isinstance(value, list | tuple):
            return [self._plain(entry) for entry in value]
        if not isinstance(value, Cell):
            return value
        content = _fresh(value).value
        if isinstance(content, Withheld):
            raise Unsupported(content.reason)
        return self._made(content) if isinstance(content, Scores) else content

    def _made(self, scores: Scores) -> Value | Missing:
        """Compute a function that turns out not to be at the end of the network."""
        if scores.made is None:
            inner = scores.value
            first = self._made(inner) if isinstance(inner, Scores) else inner
            kind = base(scores.instruction.kind)
            try:
                scores.made = self._computed(scores.instruction, kind, (first, *scores.arguments))
            except Unsupported as refusal:
                self._refuse(scores.instruction, refusal)
                scores.made = Missing()
        return scores.made

    def _behind(self, instruction: Instruction, kind: str, arguments: tuple[Any, ...], lost: Any) -> Any:
        """Go on behind a tensor or number that is not known, and say what is wrong anyway."""
        self.first = self.first or first_layer(kind, arguments, instruction.names)
        if kind.endswith(("Int", "Float", "Bool", "item", "Implicit")) and isinstance(lost, Missing):
            raise Unsupported("it reads a number out of a tensor that depends on the input")
        depends = isinstance(lost, Missing)  # else only the shape is not known, or a number out of it
        lost_outputs = tuple(
            Missing() if output.is_tensor and depends else UNKNOWN for output in instruction.outputs
        )
        return lost_outputs if len(lost_outputs) > 1 else lost_outputs[0]

    def _may_be_last(self, kind: str, values: list[Any]) -> bool:
        """Whether a function keeps the order of the scores, should it be at the end."""
        value = values[0].value if isinstance(values[0], Cell) else None
        while isinstance(value, Scores):
            value = value.value
        if not isinstance(value, Activation | Missing):
            return False
        if kind == "aten::sigmoid":
            return True
        if values[2:] and values[2] not in (None, False):  # another type
            return False
        return isinstance(value, Missing) or self._over_classes(values[1], value)

    def _over_classes(self, axis: Any, scores: Activation) -> bool:
        """Whether ``axis`` of the upload is the one axis of the scores."""
        shape = scores.shape
        offset = int(self.batch.present) if self.single is None else self.single.offset(scores)
        full = len(shape) + offset
        inside = isinstance(axis, int) and not isinstance(axis, bool) and -full <= axis < full
        return inside and axis % full - offset == class_axis(shape)

    def _scores(self, instruction: Instruction, kind: str, values: list[Any]) -> Scores:
        """Set a function of the scores aside until it is known whether anything follows."""
        content = _fresh(values[0]).value
        if isinstance(content, Withheld):
            raise Unsupported(content.reason)
        return Scores(content, TAILS[kind], instruction, tuple(values[1:]))

    def _in_place(self, instruction: Instruction, cell: Any, result: Any) -> Cell:
        """Change a variable; whatever shares its memory must not be read again."""
        if isinstance(cell, Cell) and result is cell.value:
            return cell
        if not isinstance(cell, Cell) or isinstance(cell.value, Constant):
            raise Unsupported("it changes a weight or a number in place")
        before = cell.value
        if isinstance(before, Activation) and isinstance(result, Activation) and before.shape != result.shape:
            raise Unsupported("it changes the shape of a tensor in place")
        self.counts[instruction.kind] += 1
        for other in cell.storage:
            other.stale = other.stale or other is not cell
        cell.value = result
        return cell


def _is_tensor(value: Any) -> bool:
    return isinstance(value, Activation | Constant | Missing | Scores | Withheld)


def _fresh(cell: Cell) -> Cell:
    """Refuse to read what is no longer true."""
    if cell.stale:
        raise Unsupported("it reads a tensor that was changed in place through another one")
    return cell


def _is_fixed(arguments: tuple[Any, ...]) -> bool:
    """Whether weights are computed with, and nothing that varies."""
    varies = any(isinstance(argument, Activation) for argument in arguments)
    return not varies and any(isinstance(argument, Constant) for argument in arguments)


def _as_numbers(kind: str, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Take whole numbers that a trace keeps as tensors as numbers, where only such are computed with."""
    if kind == "aten::div" and not any(isinstance(argument, str) for argument in arguments):
        return arguments  # a quotient has a float type of its own
    numbers = tuple(
        argument.array.item()
        if isinstance(argument, Constant) and argument.array.shape == () and argument.array.dtype == np.int64
        else argument
        for argument in arguments
    )
    return numbers if all(isinstance(number, int) for number in numbers[:2]) else arguments


def _depends_on_batch(kind: str, arguments: tuple[Any, ...]) -> bool:
    """Whether a number is made of the length of the batch, such that it differs from batch to batch."""
    operands = arguments[:2]
    if not all(isinstance(operand, int | float | PerBatch) for operand in operands):
        return False
    if isinstance(operands[0], PerBatch) or isinstance(operands[-1], PerBatch):
        return True
    positive = operands[0] == BATCH and isinstance(operands[-1], int) and BATCH != operands[-1] <= 0
    compares = kind in {"aten::eq", "aten::ne", "aten::lt", "aten::le", "aten::gt", "aten::ge"}
    return BATCH in operands and not (compares and positive)  # every batch has at least one sample


def _flat(values: Any) -> Iterator[Any]:
    """Yield what lists and tuples hold."""
    for value in values:
        if isinstance(value, list | tuple):
            yield from _flat(value)
        else:
            yield value


def _lost(arguments: tuple[Any, ...]) -> Any:
    """Return an argument that is not known, if there is one; a tensor rather than a number."""
    found = None
    for value in _flat(arguments):
        if isinstance(value, Missing):
            return value
        if isinstance(value, Unknown):
            found = value
    return found
