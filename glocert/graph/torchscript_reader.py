"""An abstract interpreter for TorchScript: tensors are names and shapes, and nothing runs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import torch

from glocert.errors import InvalidGraph, Offence
from glocert.graph import aten_operators
from glocert.graph.aten_operators.registry import OPERATORS, UNKNOWN, Call, Cell, Missing, Scores, Unknown
from glocert.graph.builder import GraphBuilder
from glocert.graph.imported import class_axis
from glocert.graph.limits import Limits
from glocert.graph.lowering import MANY_PRODUCTS
from glocert.graph.refusals import SMOOTH, Refusals
from glocert.graph.shapes import Shape, ShapeError
from glocert.graph.torchscript_program import Block, Instruction, Program, tensor_constant
from glocert.graph.values import Activation, Batch, Constant, Emitter, Unsupported, Value

__all__ = ["FirstLayer", "Reader", "aten_operators"]

_TAILS = {"aten::softmax": "Softmax", "aten::log_softmax": "LogSoftmax", "aten::sigmoid": "Sigmoid"}
_STRUCTURE = frozenset(
    {"prim::Constant", "prim::GetAttr", "prim::If", "prim::ListConstruct", "prim::TupleConstruct"}
)
_IN_DEAD_BRANCHES = frozenset(
    {"prim::Loop", "prim::RaiseException", "aten::format", "aten::warn", "prim::Uninitialized"}
)
_IDENTITIES = frozenset({"aten::dropout", "aten::contiguous", "aten::detach", "aten::alias", "aten::clone"})
_WEIGHTED = frozenset(
    {"aten::linear", "aten::conv1d", "aten::conv2d", "aten::_convolution", "aten::_convolution_mode"}
)
_RANDOM = ("aten::rand", "aten::normal", "aten::bernoulli", "aten::multinomial", "aten::uniform")


@dataclass(frozen=True, slots=True)
class FirstLayer:
    """The first layer with weights, as a hint about the input.

    Attributes:
        features: length of the first axis of a sample.
        spatial: number of the axes behind it.
    """

    features: int
    spatial: int


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
        first: the first layer with weights that was met.
    """

    program: Program
    dtype: str
    builder: GraphBuilder
    batch: Batch = field(default_factory=Batch)
    refusals: Refusals = field(default_factory=Refusals)
    counts: Counter[str] = field(default_factory=Counter)
    first: FirstLayer | None = None
    _values: dict[int, Any] = field(default_factory=dict)
    _weights: dict[str, Cell] = field(default_factory=dict)
    _paths: dict[int, str] = field(default_factory=dict)
    _refused: set[str] = field(default_factory=set)

    @classmethod
    def over(cls, module: Any, program: Program, shape: Shape | None, dtype: str, limits: Limits) -> Reader:
        """Prepare a pass; without ``shape`` it finds only what is wrong whatever the shape is."""
        builder = GraphBuilder.start(program.entry.name, shape or (1,), limits)
        reader = cls(program, dtype, builder)
        start = Missing() if shape is None else Activation(builder.input, shape)
        reader._values[program.entry.number] = Cell(start)
        reader._values[program.owner] = module._c
        reader._paths[program.owner] = ""
        return reader

    def read(self) -> Reader:
        """Interpret the program; what is wrong is collected in ``refusals``."""
        self._block(self.program.body)
        return self

    def refuse_unknown(self) -> None:
        """Refuse every operator that is on no list, also in branches that are never taken."""
        allowed = {*OPERATORS, *_TAILS, *_STRUCTURE, *_IN_DEAD_BRANCHES}
        for instruction in self.program.body.everything():
            if _base(instruction.kind) not in allowed:
                self._refuse(instruction, _unknown(instruction.kind))

    def result(self) -> tuple[Value, list[str]]:
        """Return what is returned, and the functions that were cut off, from the output backwards."""
        cell, tails = self._values[self.program.body.returns[0]], []
        value = cell.value
        while isinstance(value, Scores):
            tails.append(value.operator)
            value = value.value
        if cell.stale or isinstance(value, Missing):
            raise InvalidGraph("The returned tensor was changed in place through another one.")
        return value, tails

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
        elif kind == "prim::RaiseException":
            raise Unsupported("the model raises an error when it is run")
        elif _base(kind) not in {*OPERATORS, *_TAILS, *_STRUCTURE}:
            raise _unknown(kind)
        else:
            self._values[instruction.outputs[0].number] = self._evaluated(instruction, values)

    def _evaluated(self, instruction: Instruction, values: list[Any]) -> Any:
        kind = instruction.kind
        if kind == "prim::Constant":
            literal = instruction.literal
            return Cell(literal) if isinstance(literal, Constant) else literal
        if kind == "prim::GetAttr":
            return self._attribute(instruction, values[0])
        if kind == "prim::ListConstruct":
            return values
        if kind == "prim::TupleConstruct":
            return tuple(values)
        return self._operation(instruction, values)

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
        return value

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

    def _operation(self, instruction: Instruction, values: list[Any]) -> Any:
        kind = _base(instruction.kind)
        if kind in _TAILS:
            result = self._tail(instruction, kind, values)
        elif kind in _IDENTITIES and isinstance(values[0], Cell) and isinstance(values[0].value, Scores):
            result = values[0].value
        else:
            result = self._computed(instruction, kind, values)
        if instruction.kind != kind:
            return self._in_place(instruction, values[0], result)
        if not isinstance(result, Activation | Constant | Missing | Scores):
            return result
        self.counts[instruction.kind] += 1
        shared = kind in _IDENTITIES or (kind in OPERATORS and OPERATORS[kind].shares)
        return Cell(result, values[0].storage if shared and isinstance(values[0], Cell) else [])

    def _computed(self, instruction: Instruction, kind: str, values: list[Any]) -> Any:
        arguments = tuple(self._plain(value) for value in values)
        lost = _lost(arguments)
        if lost is not None:
            return self._behind(instruction, kind, arguments, lost)
        output = instruction.outputs[0].name
        emitter = Emitter(self.builder, self.batch, instruction.where, instruction.kind, output)
        return OPERATORS[kind].function(Call(kind, arguments, emitter, self.dtype))

    def _plain(self, value: Any) -> Any:
        """Look into variables, and refuse to read what is no longer true."""
        if isinstance(value, list):
            return [self._plain(entry) for entry in value]
        if not isinstance(value, Cell):
            return value
        if value.stale:
            raise Unsupported("it reads a tensor that was changed in place through another one")
        if isinstance(value.value, Scores):
            self._refuse_scores(value.value)
            return Missing()
        return value.value

    def _refuse_scores(self, scores: Scores | Value | Missing) -> None:
        """Refuse functions at the end of a network that turn out not to be at its end."""
        while isinstance(scores, Scores):
            self._refuse(scores.instruction, _unknown(scores.instruction.kind))
            scores = scores.value

    def _behind(self, instruction: Instruction, kind: str, arguments: tuple[Any, ...], lost: Any) -> Any:
        """Go on behind a tensor or number that is not known, and say what is wrong anyway."""
        if kind in _WEIGHTED and self.first is None and isinstance(arguments[1], Constant):
            shape = arguments[1].array.shape
            place = 8 if kind == "aten::_convolution" else 6
            group = arguments[place] if len(arguments) > place else 1
            self.first = FirstLayer(shape[1] * (group if isinstance(group, int) else 1), len(shape) - 2)
        tensors = [part for part in arguments[:2] if isinstance(part, Activation | Missing)]
        if kind in {"aten::mul", "aten::matmul", "aten::mm"} and len(tensors) == 2:
            raise Unsupported(MANY_PRODUCTS)
        if kind == "aten::div" and isinstance(arguments[1], Activation | Missing):
            raise Unsupported("a division by an activation is not piecewise linear")
        if kind.endswith(("Int", "Float", "Bool", "item", "Implicit")) and isinstance(lost, Missing):
            raise Unsupported("it reads a number out of a tensor that depends on the input")
        return Missing() if instruction.outputs[0].is_tensor else UNKNOWN

    def _tail(self, instruction: Instruction, kind: str, values: list[Any]) -> Any:
        """Set a function of the scores aside until it is known whether anything follows."""
        cell = values[0]
        if cell.stale:
            raise Unsupported("it reads a tensor that was changed in place through another one")
        value = cell.value
        if kind != "aten::sigmoid":
            inner = value
            while isinstance(inner, Scores):
                inner = inner.value
            if isinstance(inner, Activation) and not _over_classes(values[1], inner.shape):
                raise Unsupported(f"{kind} is not taken over the class scores")
            if len(values) > 2 and values[2] is not None:
                raise Unsupported("a conversion of a tensor is not supported")
        return Scores(value, _TAILS[kind], instruction)

    def _in_place(self, instruction: Instruction, cell: Any, result: Any) -> Cell:
        """Change a variable; whatever shares its memory must not be read again."""
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


def _base(kind: str) -> str:
    """Return the operator without the underscore of its in-place form."""
    return kind[:-1] if kind.endswith("_") and not kind.endswith("__") else kind


def _lost(arguments: tuple[Any, ...]) -> Any:
    """Return an argument that is not known, if there is one."""
    stack = list(arguments)
    while stack:
        value = stack.pop()
        if isinstance(value, list | tuple):
            stack += value
        elif isinstance(value, Missing | Unknown):
            return value
    return None


def _over_classes(axis: Any, shape: Shape) -> bool:
    """Whether ``axis`` of the upload is the one axis of the scores."""
    rank = len(shape) + 1
    return isinstance(axis, int) and -rank <= axis < rank and axis % rank - 1 == class_axis(shape)


def _unknown(kind: str) -> Unsupported:
    """Say why an operator is not on the list."""
    name = _base(kind).partition("::")[2]
    if kind in {"prim::Loop", "prim::If"}:
        return Unsupported(
            f"{kind} is control flow", "Export the model by tracing, without branches or loops."
        )
    if kind.startswith(_RANDOM):
        return Unsupported(f"{kind} is random: the output is not a function of the input")
    if name in SMOOTH:
        return Unsupported(f"{kind} is not piecewise linear", "Use relu, leaky_relu or clamp instead.")
    if not kind.startswith(("aten::", "prim::")):
        return Unsupported(f"{kind} is a custom operator", "Use standard operators.")
    return Unsupported(f"{kind} is not supported")
