"""Why a node of an ONNX file is refused, in words, where nothing but its operator has to be known."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import onnx

from glocert.graph.onnx_file import DEFAULT_DOMAINS
from glocert.graph.onnx_operators.registry import FOLDS, OPERATORS
from glocert.graph.values import Unsupported

_STATIC = "Export the model by tracing, without branches or loops."
_WITHOUT = "Leave it out of the model."
_FLOAT = "Export the model in float32, before it is quantised."

_REASONS: Mapping[tuple[str, ...], tuple[str, str]] = {
    ("If", "Loop", "Scan", "SequenceMap"): ("is control flow", _STATIC),
    ("RNN", "LSTM", "GRU"): ("is recurrent, a loop over time", "Unroll it into ordinary layers."),
    (
        *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
        *("Multinomial", "Bernoulli"),
    ): ("is random: the output is not a function of the input", _WITHOUT),
    ("ArgMax", "ArgMin", "TopK", "Hardmax"): (
        "picks among its inputs, so its output jumps",
        "Let the model return the class scores.",
    ),
    ("NonMaxSuppression", "NonZero", "Unique", "Compress", "RoiAlign"): (
        "has an output whose shape or places depend on the input",
        "Let the model end before it.",
    ),
    ("Ceil", "Floor", "Round", "Mod", "IsInf", "IsNaN", "BitShift"): (
        "is a step function: its output jumps",
        _WITHOUT,
    ),
    (
        *("QuantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul"),
        *("ConvInteger", "MatMulInteger"),
    ): ("rounds to few levels, so its output jumps", _FLOAT),
    ("LRN",): (
        "normalises over neighbouring channels, which is not supported",
        "Use BatchNormalization, LayerNormalization or GroupNormalization.",
    ),
    ("StringNormalizer", "TfIdfVectorizer", "StringConcat", "StringSplit", "RegexFullMatch"): (
        "works on text",
        "Let the model begin with numbers.",
    ),
    ("SequenceAt", "SequenceConstruct", "SequenceEmpty", "SequenceInsert", "SplitToSequence"): (
        "works on a list of tensors",
        "Use tensors only.",
    ),
}
_BY_OPERATOR = {name: reason for names, reason in _REASONS.items() for name in names}

_CONSTANT_INPUTS: Mapping[str, tuple[int, ...]] = {
    "BatchNormalization": (1, 2, 3, 4),
    "Clip": (1, 2),
    "ConstantOfShape": (0,),
    "Conv": (1, 2),
    "ConvTranspose": (1, 2),
    "DequantizeLinear": (0, 1, 2),
    "Expand": (1,),
    "Gather": (1,),
    "GatherElements": (1,),
    "GatherND": (1,),
    "Pad": (1, 2, 3),
    "Pow": (1,),
    "PRelu": (1,),
    "Range": (0, 1, 2),
    "ReduceMax": (1,),
    "ReduceMean": (1,),
    "ReduceMin": (1,),
    "ReduceSum": (1,),
    "Reshape": (1,),
    "Resize": (1, 2, 3),
    "ScatterElements": (1,),
    "ScatterND": (1,),
    "Slice": (1, 2, 3, 4),
    "Split": (1,),
    "Squeeze": (1,),
    "Tile": (1,),
    "Unsqueeze": (1,),
    "Upsample": (1,),
    "Where": (0,),
}
"""Inputs that must not vary, whatever the others are."""


def unknown(node: onnx.NodeProto, opset: int) -> Unsupported:
    """Say why an operator is not on the list."""
    kind = node.op_type
    if node.domain not in DEFAULT_DOMAINS:
        way_out = "Export with standard operators."
        if node.domain.startswith("com.microsoft"):
            way_out = "Export with standard operators, before a runtime optimises the model."
        return Unsupported(f"{kind} of the custom domain {node.domain!r} is unknown", way_out)
    if kind in _BY_OPERATOR:
        reason, way_out = _BY_OPERATOR[kind]
        return Unsupported(f"{kind} {reason}", way_out)
    if kind in FOLDS:
        return Unsupported(f"{kind} is supported on constants only", "Compute it outside of the model.")
    if not onnx.defs.has(kind, max_inclusive_version=opset):
        return Unsupported(f"{kind} is no operator of opset {opset}")
    return Unsupported(f"{kind} is not supported", "The list of supported operators is in the documentation.")


def check_varying(node: onnx.NodeProto, varying: Sequence[bool]) -> None:
    """Refuse a node for inputs that must be constants, whatever they are.

    Args:
        node: one whose operator is known.
        varying: which of its inputs depend on the model's input.

    Raises:
        Unsupported: one of them must not.
    """
    if node.op_type not in OPERATORS and any(varying):
        raise Unsupported("it is supported on constants only", "Compute it outside of the model.")
    places: Collection[int] = _CONSTANT_INPUTS.get(node.op_type, ())
    for position in places:
        if position < len(varying) and varying[position]:
            raise Unsupported(f"input {position} depends on the model's input; it must be a constant")
