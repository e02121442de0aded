"""ATen operators that a reader treats by itself, and what it says about those that it does not know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from glocert.graph.values import Constant, Unsupported

TAILS = {
    "aten::softmax": "Softmax",
    "aten::_softmax": "Softmax",
    "aten::log_softmax": "LogSoftmax",
    "aten::_log_softmax": "LogSoftmax",
    "aten::sigmoid": "Sigmoid",
}
"""Functions that keep the order of the scores, and that are cut off at the end of a network."""

STRUCTURE = frozenset(
    {
        *("prim::Constant", "prim::GetAttr", "prim::If", "prim::ListConstruct", "prim::TupleConstruct"),
        *("prim::ListUnpack", "prim::TupleUnpack", "prim::Loop", "prim::Uninitialized"),
        "aten::append",
    }
)
"""What holds a program together."""

ON_LISTS = frozenset({"aten::__getitem__", "aten::list", "aten::slice", "aten::add", "aten::len"})
"""What picks, joins or counts entries of lists, which stay the variables that they are."""

ON_NUMBERS = frozenset(
    {
        *("aten::add", "aten::sub", "aten::mul", "aten::div", "aten::floor_divide", "aten::remainder"),
        *("aten::neg", "aten::Int", "aten::floordiv"),
    }
)
"""What computes with lengths, which a trace keeps as tensors of one whole number."""

SILENT = frozenset({"aten::_assert_tensor_metadata"})
"""Checks that ``torch.export`` writes, and that hold for every tensor that can occur here."""

ON_LENGTHS = frozenset(
    {
        *("aten::add", "aten::sub", "aten::mul", "aten::floordiv", "aten::remainder", "aten::neg"),
        *("aten::eq", "aten::ne", "aten::lt", "aten::le", "aten::gt", "aten::ge", "aten::__not__"),
    }
)
"""What a check of a shape computes with lengths."""

ONLY_RAISES = frozenset(
    {"prim::RaiseException", "prim::Constant", "prim::TupleConstruct", "prim::ListConstruct", "aten::format"}
)
"""What a branch consists of that does nothing but raise an error."""

MIXING = frozenset(
    {
        *TAILS,
        *("aten::softmin", "aten::logsumexp", "aten::sum", "aten::mean", "aten::var", "aten::std"),
        *("aten::amax", "aten::amin", "aten::max", "aten::min", "aten::norm", "aten::linalg_vector_norm"),
    }
)
"""What makes one number of several, and must not do so across samples, however many there are."""

IN_DEAD_BRANCHES = frozenset(
    {
        *("prim::RaiseException", "aten::format", "aten::warn"),
        *("aten::upsample_bicubic2d", "aten::_upsample_bicubic2d_aa"),
        *("aten::_upsample_bilinear2d_aa", "aten::_upsample_lanczos2d_aa"),
    }
)
"""Refused where they are met, but common in branches that are never taken."""

IDENTITIES = frozenset({"aten::dropout", "aten::contiguous", "aten::detach", "aten::alias", "aten::clone"})
"""Operators behind which a function is still at the end of the network."""

_WEIGHTED = frozenset(
    {
        *("aten::linear", "aten::conv1d", "aten::conv2d", "aten::conv3d", "aten::_convolution"),
        *("aten::_convolution_mode", "aten::convolution"),
        *("aten::conv_transpose1d", "aten::conv_transpose2d", "aten::conv_transpose3d"),
    }
)
_RANDOM = ("aten::rand", "aten::normal", "aten::bernoulli", "aten::multinomial", "aten::uniform")
_JUMPS = frozenset({"argmax", "argmin", "sort", "topk", "argsort", "round", "trunc", "sign"})


@dataclass(frozen=True, slots=True)
class FirstLayer:
    """The first layer with weights, as a hint about the input.

    Attributes:
        features: length of the first axis of a sample.
        spatial: number of the axes behind it.
    """

    features: int
    spatial: int


def first_layer(kind: str, arguments: tuple[Any, ...], names: tuple[str, ...]) -> FirstLayer | None:
    """Return what the weight of a layer tells about its input, or None for other operators."""
    if kind not in _WEIGHTED or not isinstance(arguments[1], Constant):
        return None
    shape = arguments[1].array.shape
    given = dict(zip(names, arguments, strict=False))
    if "transpose" in kind or given.get("transposed") is True:
        return FirstLayer(shape[0], len(shape) - 2)
    group = given.get("groups", 1)
    return FirstLayer(shape[1] * (group if isinstance(group, int) else 1), len(shape) - 2)


def base(kind: str) -> str:
    """Return the operator without the underscore of its in-place form."""
    return kind[:-1] if kind.endswith("_") and not kind.endswith("__") else kind


def unknown(kind: str) -> Unsupported:
    """Say why an operator is not on the list."""
    name = base(kind).partition("::")[2]
    if kind.startswith("higher_order::"):
        return Unsupported(
            f"{kind} is control flow", "Export the model by tracing, without branches or loops."
        )
    if kind.startswith(_RANDOM):
        return Unsupported(f"{kind} is random: the output is not a function of the input")
    if name in _JUMPS:
        return Unsupported(f"{kind} jumps: no continuous function bounds it", "Leave it out of the network.")
    if not kind.startswith(("aten::", "prim::")):
        return Unsupported(f"{kind} is a custom operator", "Use standard operators.")
    return Unsupported(f"{kind} is not supported")
