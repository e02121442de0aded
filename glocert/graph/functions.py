"""Reference values of the functions of one number, in torch; ``families.FUNCTIONS`` lists them."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor
from torch.nn import functional

from glocert.graph.ir import Node

Evaluate = Callable[[Node, Tensor], Tensor]


def _gelu(node: Node, x: Tensor) -> Tensor:
    return functional.gelu(x, approximate=str(node.attributes["approximate"]))


def _softplus(_node: Node, x: Tensor) -> Tensor:
    # torch's own turns linear above 20, which is a different function in float64.
    return torch.logaddexp(x, torch.zeros_like(x))


def _mish(_node: Node, x: Tensor) -> Tensor:
    return x * torch.tanh(torch.logaddexp(x, torch.zeros_like(x)))


def _power(node: Node, x: Tensor) -> Tensor:
    return torch.pow(x, node.number("exponent"))


EVALUATE: Mapping[str, Evaluate] = {
    "Cos": lambda _, x: torch.cos(x),
    "Elu": lambda node, x: functional.elu(x, node.number("alpha")),
    "Erf": lambda _, x: torch.erf(x),
    "Exp": lambda _, x: torch.exp(x),
    "Gelu": _gelu,
    "HardSwish": lambda _, x: functional.hardswish(x),
    "Log": lambda _, x: torch.log(x),
    "Mish": _mish,
    "Pow": _power,
    "Reciprocal": lambda _, x: torch.reciprocal(x),
    "Sigmoid": lambda _, x: torch.sigmoid(x),
    "Sign": lambda _, x: torch.sign(x),
    "Silu": lambda _, x: functional.silu(x),
    "Sin": lambda _, x: torch.sin(x),
    "Softplus": _softplus,
    "Sqrt": lambda _, x: torch.sqrt(x),
    "Tanh": lambda _, x: torch.tanh(x),
}
