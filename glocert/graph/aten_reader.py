"""An abstract interpreter for ATen programs: tensors are names and shapes, and nothing runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch

from glocert.errors import InvalidGraph, Offence
from glocert.graph import aten_operators
from glocert.graph.aten_lists import (
    IDENTITIES,
    IN_DEAD_BRANCHES,
    ON_LISTS,
    SILENT,
    STRUCTURE,
    TAILS,
    FirstLayer,
    base,
    first_layer,
    unknown,
)
from glocert.graph.aten_operators.folding import FOLDED, folded
from glocert.graph.aten_operators.registry import (
    OPERATORS,
    UNKNOWN,
    Call,
    Cell,
    Missing,
    Scores,
    Unknown,
    Withheld,
)
from glocert.graph.aten_program import Block, Instruction, Program, tensor_constant
from glocert.graph.builder import GraphBuilder
from glocert.graph.imported import class_axis
from glocert.graph.limits import Limits
from glocert.graph.refusals import Refusals
from glocert.graph.shapes import Shape, ShapeError
from glocert.graph.values import BATCH, Activation, Batch, Constant, Emitter, Unsupported, Value

__all__ = ["Reader", "aten_operators"]


@dataclass(slots=True)
class Reader:
    """One pass over a program, with a known input shape or without.

    Attributes:
        program: what is read.
        dtype: ``float32`` or ``float64``.
        builder: the graph under construction.
        batch: what the upload demands of its batch axis.
        refusals: everything that is wrong.
        counts: operators on tensors that were read.
        notes: what the user should know.
        first: the first layer with weights that was met.
    """

    program: Program
    dtype: str
    builder: GraphBuilder
    batch: Batch = field(default_factory=Batch)
    refusals: Refusals = field(default_factory=Refusals)
    counts: Counter[str] = field(default_factory=Counter)
    notes: list[str] = field(default_factory=list)
    first: FirstLayer | None = None
    _values: dict[int, Any] = field(default_factory=dict)
    _weights: dict[str, Cell] = field(default_factory=dict)
    _paths: dict[int, str] = field(default_factory=dict)
    _refused: set[str] = field(default_factory=set)
    _turns: int = 0

    @classmethod
    def over(
        cls,
        program: Program,
        shape: Shape | None,
        dtype: str,
        limits: Limits,
        *,
        module: Any = None,
        weights: Mapping[int, Constant | None] | None = None,
    ) -> Reader:
        """Prepare a pass; without ``shape`` it finds only what is wrong whatever the shape is.

        Args:
            program: what is read.
            shape: of one sample.
            dtype: of the weights.
            limits: what must not be exceeded.
            module: what the program's owner stands for, where it has one.
            weights: what is known beforehand, by its variable; None for what is no tensor.
        """
        builder = GraphBuilder.start(program.entry.name, shape or (1,), limits)
        reader = cls(program, dtype, builder)
        start = Missing() if shape is None else Activation(builder.input, shape)
        for number, weight in (weights or {}).items():
            reader._values[number] = None if weight is None else Cell(weight)
        reader._values[program.entry.number] = Cell(start)
        if program.owner is not None:
            reader._values[program.owner] = module
            reader._paths[program.owner] = ""
        return reader

    def read(self) -> Reader:
        """Interpret the program; what is wrong is collected in ``refusals``."""
        self._block(self.program.body)
        return self

    def refuse_unknown(self) -> None:
        """Refuse every operator that is on no list, also in branches that are never taken."""
        allowed = {*OPERATORS, *STRUCTURE, *SILENT, *IN_DEAD_BRANCHES}
        for instruction in self.program.body.everything():
            if base(instruction.kind) not in allowed:
                self._refuse(instruction, unknown(instruction.kind))

    def result(self) -> tuple[Value, list[str]]:
        """Return what is returned, and the functions that were cut off, from the output backwards."""
        value, tails = self.returned(), []
        while isinstance(value, Scores):
            tails.append(value.operator)
            value = value.value
        if isinstance(value, Missing):
            raise InvalidGraph("What the model returns could not be made.")
        return value, tails

    def returned(self) -> Value | Missing | Scores:
        """Return what is returned, with the functions that may be cut off."""
        cell = self._values[self.program.body.returns[0]]
        if self.program.choice is not None:
            cell = cell[self.program.choice]
        if not isinstance(cell, Cell) or isinstance(cell.value, Withheld):
            raise InvalidGraph("What the model returns is no tensor of scores.")
        if cell.stale:
            raise InvalidGraph("The returned tensor was changed in place through another one.")
        return cell.value

    def _block(self, block: Block) -> None:
        for instruction in block.instructions:
            try:
                self._instruction(instruction)
            except Unsupported as refusal:
                self._refuse(instruction, refusal)
                self._lose(instruction)
            except ShapeError as fault:
                self._misfit(instruction, f"shape mismatch at {instruction.kind}: {fault}")
            except (ValueError, IndexError, TypeError, OverflowError):
                self._misfit(instruction, f"the arguments of {instruction.kind} do not fit together")

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

    def _instruction(self, instruction: Instruction) -> None:
        kind = instruction.kind
        values = [self._values[number] for number in instruction.inputs]
        if kind == "prim::If":
            self._branch(instruction, values[0])
        elif kind == "prim::Loop":
            self._loop(instruction, values)
        elif kind == "prim::RaiseException":
            raise Unsupported("the model raises an error when it is run")
        elif kind in STRUCTURE:
            self._structure(instruction, values)
        elif base(kind) in OPERATORS:
            self._store(instruction, self._operation(instruction, values))
        elif kind not in SILENT:
            raise unknown(kind)

    def _store(self, instruction: Instruction, result: Any) -> None:
        if len(instruction.outputs) == 1:
            result = (result,)
        if not isinstance(result, tuple) or len(result) != len(instruction.outputs):
            raise Unsupported(f"it makes {len(instruction.outputs)} tensors, which is not supported")
        for output, value in zip(instruction.outputs, result, strict=True):
            self._values[output.number] = value

    def _structure(self, instruction: Instruction, values: list[Any]) -> None:
        """Build and take apart lists and tuples, and fetch what is stored."""
        kind = instruction.kind
        if kind in {"prim::ListUnpack", "prim::TupleUnpack"}:
            self._unpack(instruction, values[0])
            return
        result: Any
        if kind == "prim::Constant":
            result = _written(instruction.literal)
        elif kind == "prim::Uninitialized":
            unset = Withheld("it reads a tensor that was never set")
            result = Cell(unset) if instruction.outputs[0].is_tensor else UNKNOWN
        elif kind == "prim::GetAttr":
            result = self._attribute(instruction, values[0])
        elif kind == "prim::ListConstruct":
            result = values
        elif kind == "aten::append":
            if not isinstance(values[0], list):
                raise Unsupported("it extends a list that is not known")
            values[0].append(values[1])
            result = values[0]
        else:
            result = tuple(values)
        self._values[instruction.outputs[0].number] = result

    def _unpack(self, instruction: Instruction, parts: Any) -> None:
        if isinstance(parts, Missing | Unknown | Cell):
            self._lose(instruction)
            return
        if len(parts) != len(instruction.outputs):
            raise Unsupported(f"it takes {len(instruction.outputs)} parts out of {len(parts)}")
        for output, part in zip(instruction.outputs, parts, strict=True):
            self._values[output.number] = part

    def _attribute(self, instruction: Instruction, owner: Any) -> Any:
        """Return a submodule, a weight or a setting; a weight is one cell however often it is asked for."""
        if instruction.inputs[0] not in self._paths:
            raise Unsupported("it reads an attribute of something that is no module")
        path = f"{self._paths[instruction.inputs[0]]}.{instruction.literal}".lstrip(".")
        if path in self._weights:
            return self._weights[path]
        value = owner.getattr(instruction.literal)
        if isinstance(value, torch.Tensor):
            self._weights[path] = Cell(tensor_constant(value, path))
            return self._weights[path]
        self._paths[instruction.outputs[0].number] = path
        return tuple(value) if isinstance(value, list) else value  # a list that calls extend is no constant

    def _branch(self, instruction: Instruction, condition: Any) -> None:
        """Follow the branch that is always taken."""
        if isinstance(condition, Unknown):
            self._lose(instruction)
            return
        if not isinstance(condition, bool):
            raise Unsupported("data-dependent control flow is not supported", "Export the model by tracing.")
        block = instruction.blocks[0 if condition else 1]
        self._block(block)
        for output, number in zip(instruction.outputs, block.returns, strict=True):
            self._values[output.number] = self._values[number]
            if number in self._paths:
                self._paths[output.number] = self._paths[number]

    def _loop(self, instruction: Instruction, values: list[Any]) -> None:
        """Follow a loop as often as it is known to turn."""
        turns, going, carried = values[0], values[1], values[2:]
        if isinstance(turns, Unknown) or isinstance(going, Unknown):
            self._lose(instruction)
            return
        if not isinstance(turns, int) or turns == BATCH or not isinstance(going, bool):
            raise _endless()
        block, turn = instruction.blocks[0], 0
        while going and turn < turns:
            self._turns += len(block.instructions) + 1
            if self._turns > 20 * self.builder.limits.nodes:
                raise _endless()
            self._values |= dict(zip(block.parameters, (turn, *carried), strict=True))
            self._block(block)
            going, *carried = (self._values[number] for number in block.returns)
            turn += 1
            if not isinstance(going, bool):
                raise _endless()
        self._values |= {
            output.number: value for output, value in zip(instruction.outputs, carried, strict=True)
        }

    def _operation(self, instruction: Instruction, values: list[Any]) -> Any:
        kind = base(instruction.kind)
        if kind in ON_LISTS and isinstance(values[0], list | tuple) and _lost(tuple(values[1:])) is None:
            return OPERATORS[kind].function(self._call(instruction, kind, tuple(values)))
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
        call = self._call(instruction, kind, arguments)
        if kind in FOLDED and _is_fixed(arguments):
            return folded(call)
        return OPERATORS[kind].function(call)

    def _call(self, instruction: Instruction, kind: str, arguments: tuple[Any, ...]) -> Call:
        output = instruction.outputs[0].name
        emitter = Emitter(self.builder, self.batch, instruction.where, instruction.kind, output)
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
        return isinstance(value, Missing) or self._over_classes(values[1], value.shape)

    def _over_classes(self, axis: Any, shape: Shape) -> bool:
        """Whether ``axis`` of the upload is the one axis of the scores."""
        offset = int(self.batch.present)
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


def _written(literal: Any) -> Any:
    """Return a value that stands in the program; lists are copied, as they may be extended."""
    if isinstance(literal, Constant):
        return Cell(literal)
    return list(literal) if isinstance(literal, list) else literal


def _endless() -> Unsupported:
    return Unsupported(
        "it is a loop of unknown length", "Export the model by tracing, without branches or loops."
    )


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


def _lost(arguments: tuple[Any, ...]) -> Any:
    """Return an argument that is not known, if there is one; a tensor rather than a number."""
    stack, found = list(arguments), None
    while stack:
        value = stack.pop()
        if isinstance(value, list | tuple):
            stack += value
        elif isinstance(value, Missing):
            return value
        elif isinstance(value, Unknown):
            found = value
    return found
