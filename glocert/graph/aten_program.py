"""A program of ATen operators as plain data: what TorchScript and ``torch.export`` files become first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from glocert.graph.values import Constant, Unsupported


@dataclass(frozen=True, slots=True)
class Variable:
    """A name that is assigned once.

    Attributes:
        number: unique in the program.
        name: as the upload shows it.
        is_tensor: whether it holds a tensor.
    """

    number: int
    name: str
    is_tensor: bool


@dataclass(frozen=True, slots=True)
class Instruction:
    """One node.

    Attributes:
        where: name for messages; the file's own source lines are private and left out.
        kind: operator, e.g. ``aten::linear``.
        inputs: numbers of the variables that it reads.
        outputs: variables that it assigns.
        blocks: the branches of an If, the body of a Loop.
        literal: value of a constant, or name of an attribute.
        overload: which of the operators of that name, e.g. ``dim_IntList``, or empty.
        names: of the inputs, as the operator's schema calls them; empty where it has none.
    """

    where: str
    kind: str
    inputs: tuple[int, ...]
    outputs: tuple[Variable, ...]
    blocks: tuple[Block, ...] = ()
    literal: Any = None
    overload: str = ""
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Block:
    """Instructions.

    Attributes:
        instructions: in their order.
        returns: numbers of the variables that they hand back.
        parameters: numbers of the variables that every turn of a loop begins with.
    """

    instructions: tuple[Instruction, ...]
    returns: tuple[int, ...]
    parameters: tuple[int, ...] = ()

    def everything(self) -> Iterator[Instruction]:
        """Yield all instructions, those of branches too."""
        for instruction in self.instructions:
            yield instruction
            for block in instruction.blocks:
                yield from block.everything()


@dataclass(frozen=True, slots=True)
class Program:
    """A whole graph, one tensor in and one out.

    Attributes:
        entry: the input.
        body: the instructions.
        result: name of what is returned.
        choice: position of the wanted tensor where the program returns a tuple, else None.
        owner: number of the variable that holds a module, or None.
        branches: whether it branches anywhere.
    """

    entry: Variable
    body: Block
    result: str
    choice: int | None = None
    owner: int | None = None
    branches: bool = False


def tensor_constant(tensor: torch.Tensor, name: str) -> Constant:
    """Return a stored tensor as a constant.

    Raises:
        Unsupported: it is sparse, quantised, in half precision or complex.
    """
    kinds = {torch.float32, torch.float64, torch.int64, torch.int32, torch.uint8, torch.int8, torch.bool}
    if tensor.layout != torch.strided or tensor.is_quantized or tensor.dtype not in kinds:
        raise Unsupported(f"the tensor {name!r} is of a kind that is not supported ({tensor.dtype})")
    return Constant(np.ascontiguousarray(tensor.detach().numpy()).reshape(tensor.shape), name)
