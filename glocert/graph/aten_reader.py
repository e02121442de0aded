"""An abstract interpreter for ATen programs: tensors are names and shapes, and nothing runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch

from glocert.errors import InvalidGraph, ModelRejected
from glocert.graph.aten_interpreter import Interpreter
from glocert.graph.aten_lists import (
    IN_DEAD_BRANCHES,
    ONLY_RAISES,
    SILENT,
    STRUCTURE,
    base,
    unknown,
)
from glocert.graph.aten_operators.registry import (
    OPERATORS,
    UNKNOWN,
    Cell,
    Missing,
    PerBatch,
    Scores,
    Unknown,
    Withheld,
)
from glocert.graph.aten_program import Block, Instruction, Program, tensor_constant
from glocert.graph.builder import GraphBuilder
from glocert.graph.limits import Limits
from glocert.graph.shapes import Shape, ShapeError
from glocert.graph.single import NOTE, Single
from glocert.graph.values import BATCH, Activation, Batch, Constant, Unsupported, Value


@dataclass(slots=True)
class Reader(Interpreter):
    """One pass over a program, with a known input shape or without."""

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
        batch: Batch | None = None,
        alone: bool = False,
    ) -> Reader:
        """Prepare a pass; without ``shape`` it finds only what is wrong whatever the shape is.

        Args:
            program: what is read.
            shape: of one sample.
            dtype: of the weights.
            limits: what must not be exceeded.
            module: what the program's owner stands for, where it has one.
            weights: what is known beforehand, by its variable; None for what is no tensor.
            batch: what the upload demands of its batch axis; nothing by default.
            alone: whether a batch of one is read, whose axis may move.
        """
        builder = GraphBuilder.start(program.entry.name, shape or (1,), limits)
        reader = cls(program, dtype, builder, Batch(size=1) if alone else replace(batch or Batch()))
        if alone:
            reader.single = Single(builder, reader.batch)
            reader.notes.append(NOTE)
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

    def is_readable(self) -> bool:
        """Whether nothing was refused, and one sample comes out where one goes in."""
        if self.refusals.found:
            return False
        try:
            value, _ = self.result()
        except InvalidGraph:
            return False
        return self.single is None or self.single.is_sample(value)

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
        if isinstance(condition, PerBatch):
            condition = _check_that_passes(instruction)
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


def read_for_any_batch(prepared: Callable[[bool], Reader], batch: Batch) -> Reader:
    """Interpret a program for batches of any length; where that is refused, for a batch of one.

    Args:
        prepared: makes a pass, given whether it is for a batch of one.
        batch: what the upload demands of its batch axis.

    Returns:
        The second pass where only that one succeeds, else the first.
    """
    reader = prepared(False).read()
    if not reader.refusals.operators or not batch.present or batch.size not in (None, 1):
        return reader
    try:
        alone = prepared(True).read()
    except ModelRejected:
        return reader
    return alone if alone.is_readable() else reader


def _written(literal: Any) -> Any:
    """Return a value that stands in the program; lists are copied, as they may be extended."""
    if isinstance(literal, Constant):
        return Cell(literal)
    return list(literal) if isinstance(literal, list) else literal


def _check_that_passes(instruction: Instruction) -> bool:
    """Return which branch does not merely raise an error, where the other one does.

    A batch for which the model raises has no scores, and those of any other batch are made by this branch.
    """
    raising = [_only_raises(block) for block in instruction.blocks]
    if raising.count(True) != 1:
        raise Unsupported("the computation depends on the length of the batch", "Export it by tracing.")
    return not raising[0]


def _only_raises(block: Block) -> bool:
    kinds = {instruction.kind for instruction in block.instructions}
    return "prim::RaiseException" in kinds and kinds <= ONLY_RAISES


def _endless() -> Unsupported:
    return Unsupported(
        "it is a loop of unknown length", "Export the model by tracing, without branches or loops."
    )
