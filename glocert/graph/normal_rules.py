"""Ways of saying the same, and the one that is kept; every rule is an equality of real functions."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from glocert.graph.ir import Array, Attribute
from glocert.graph.shapes import Shape, ints

Attributes = Mapping[str, Attribute]


@dataclass(frozen=True, slots=True)
class Term:
    """How an activation is computed.

    Attributes:
        operator: canonical operator.
        attributes: canonical attributes.
        inputs: digests of activations and parameters.
        shape: per-sample shape of the result.
    """

    operator: str
    attributes: Attributes
    inputs: tuple[str, ...]
    shape: Shape


Lookup = Callable[[str], "Term | Array | Shape"]
Keep = Callable[[Array], str]
Rule = Callable[[Lookup, Term, Keep], "Term | str"]
_RULES: dict[str, list[Rule]] = {}


def rule(*operators: str) -> Callable[[Rule], Rule]:
    """Register a rule: it returns its term, a simpler one, or the digest of what does the same."""

    def register(function: Rule) -> Rule:
        for name in operators:
            _RULES.setdefault(name, []).append(function)
        return function

    return register


def shape_of(lookup: Lookup, name: str) -> Shape:
    """Return the per-sample shape of an activation, or the shape of a parameter."""
    found = lookup(name)
    if isinstance(found, Term):
        return found.shape
    return found if isinstance(found, tuple) else found.shape


def simplified(lookup: Lookup, term: Term, keep: Keep) -> Term | str:
    """Apply all rules until none changes anything.

    Args:
        lookup: what a digest stands for.
        term: whose inputs are simplified already.
        keep: stores a parameter and returns its digest.

    Returns:
        A term, or the digest of what does the same.
    """
    changed = True
    while changed:
        changed = False
        for function in _RULES.get(term.operator, []):
            result = function(lookup, term, keep)
            if isinstance(result, str):
                return result
            if result != term:
                term, changed = result, True
                break
    return term


def _inner(lookup: Lookup, term: Term, operator: str) -> Term | None:
    """Return the term behind the first input where it is of the given operator."""
    found = lookup(term.inputs[0])
    return found if isinstance(found, Term) and found.operator == operator else None


@rule("Reshape")
def _reshape(lookup: Lookup, term: Term, _keep: Keep) -> Term | str:
    before = _inner(lookup, term, "Reshape")
    if before is not None:
        return replace(term, inputs=before.inputs)
    same = shape_of(lookup, term.inputs[0]) == term.attributes["shape"]
    return term.inputs[0] if same else term


@rule("Transpose")
def _transpose(lookup: Lookup, term: Term, _keep: Keep) -> Term | str:
    perm = ints(term.attributes, "perm")
    before = _inner(lookup, term, "Transpose")
    if before is not None:
        first = ints(before.attributes, "perm")
        return Term("Transpose", {"perm": tuple(first[axis] for axis in perm)}, before.inputs, term.shape)
    if perm == tuple(range(len(perm))):
        return term.inputs[0]
    shape = shape_of(lookup, term.inputs[0])
    long = [axis for axis in perm if shape[axis] > 1]
    if long == sorted(long):  # only axes of length one move
        return Term("Reshape", {"shape": tuple(shape[axis] for axis in perm)}, term.inputs, term.shape)
    return term


@rule("Gather")
def _gather(lookup: Lookup, term: Term, _keep: Keep) -> Term | str:
    axis, indices = term.attributes["axis"], ints(term.attributes, "indices")
    before = _inner(lookup, term, "Gather")
    if before is not None and before.attributes["axis"] == axis:
        first = ints(before.attributes, "indices")
        picked = tuple(first[index] for index in indices)
        return Term("Gather", {"axis": axis, "indices": picked}, before.inputs, term.shape)
    whole = tuple(range(shape_of(lookup, term.inputs[0])[int(str(axis))]))
    return term.inputs[0] if indices == whole else term


@rule("MatMul")
def _dense(lookup: Lookup, term: Term, keep: Keep) -> Term | str:
    weight = lookup(term.inputs[1])
    if not isinstance(weight, np.ndarray) or weight.ndim != 2 or len(shape_of(lookup, term.inputs[0])) != 1:
        return term
    return Term("Gemm", {}, (term.inputs[0], keep(np.ascontiguousarray(weight.T))), term.shape)


@rule("Sub")
def _difference(lookup: Lookup, term: Term, keep: Keep) -> Term | str:
    offset = lookup(term.inputs[1])
    if not isinstance(offset, np.ndarray):
        return term
    return Term("Add", {}, (term.inputs[0], keep(-offset)), term.shape)


@rule("Add")
def _bias(lookup: Lookup, term: Term, keep: Keep) -> Term | str:
    """Put a vector that is added to a dense layer into it."""
    for position in range(2):
        layer, bias = lookup(term.inputs[position]), lookup(term.inputs[1 - position])
        if not isinstance(layer, Term) or layer.operator != "Gemm" or not isinstance(bias, np.ndarray):
            continue
        if len(layer.inputs) == 2 and bias.size in {1, *layer.shape} and bias.ndim <= 1:
            vector = np.ascontiguousarray(np.broadcast_to(bias.reshape(-1), layer.shape))
            return Term("Gemm", {}, (*layer.inputs, keep(vector)), term.shape)
    return term


@rule("Add", "Sub", "Mul", "Div")
def _plain_operand(lookup: Lookup, term: Term, keep: Keep) -> Term | str:
    """Say a parameter with as few axes as it can be said."""
    inputs = []
    for name in term.inputs:
        found = lookup(name)
        if isinstance(found, np.ndarray):
            short = found.reshape(-1)[:1].reshape(()) if _is_one_number(lookup, term, found) else found
            while short.ndim and short.shape[0] == 1:
                short = short[0]
            name = keep(np.asarray(short)) if short.shape != found.shape else name
        inputs.append(name)
    return replace(term, inputs=tuple(inputs))


def _is_one_number(lookup: Lookup, term: Term, array: Array) -> bool:
    """Whether a parameter holds one number only and widens no activation."""
    others = [shape_of(lookup, name) for name in term.inputs if not isinstance(lookup(name), np.ndarray)]
    fits = all(np.broadcast_shapes(other, array.shape) == other for other in others)
    return bool(others) and fits and bool((array == array.reshape(-1)[:1]).all())


@rule("Add", "Mul", "Div")
def _neutral(lookup: Lookup, term: Term, _keep: Keep) -> Term | str:
    neutral = 0.0 if term.operator == "Add" else 1.0
    positions = (1,) if term.operator == "Div" else (0, 1)
    for position in positions:
        found = lookup(term.inputs[position])
        if isinstance(found, np.ndarray) and found.ndim == 0 and float(found) == neutral:
            return term.inputs[1 - position]
    return term


@rule("Clip")
def _clip(_lookup: Lookup, term: Term, _keep: Keep) -> Term | str:
    bounds = term.attributes["min"], term.attributes["max"]
    if bounds == (0.0, math.inf):
        return Term("Relu", {}, term.inputs, term.shape)
    return term.inputs[0] if bounds == (-math.inf, math.inf) else term


@rule("LeakyRelu")
def _leaky_relu(_lookup: Lookup, term: Term, _keep: Keep) -> Term | str:
    if term.attributes["alpha"] == 0.0:
        return Term("Relu", {}, term.inputs, term.shape)
    return term.inputs[0] if term.attributes["alpha"] == 1.0 else term


@rule("Relu")
def _relu(lookup: Lookup, term: Term, _keep: Keep) -> Term | str:
    return term if _inner(lookup, term, "Relu") is None else term.inputs[0]


@rule("Conv", "MaxPool", "AveragePool")
def _windows(lookup: Lookup, term: Term, _keep: Keep) -> Term | str:
    """Set to one what is said about steps that are never taken."""
    attributes = dict(term.attributes)
    convolves = term.operator == "Conv"
    kernel = shape_of(lookup, term.inputs[1])[2:] if convolves else ints(attributes, "kernel_shape")
    sizes, pads = shape_of(lookup, term.inputs[0])[1:], ints(attributes, "pads")
    steps = ints(attributes, "dilations") if "dilations" in attributes else (1,) * len(kernel)
    steps = tuple(1 if size == 1 else step for size, step in zip(kernel, steps, strict=True))
    filled = [
        size + pads[axis] + pads[axis + len(kernel)] == (kernel[axis] - 1) * steps[axis] + 1
        for axis, size in enumerate(sizes)
    ]
    strides = ints(attributes, "strides")
    attributes["strides"] = tuple(1 if full else stride for full, stride in zip(filled, strides, strict=True))
    attributes["dilations"] = steps
    if term.operator == "AveragePool" and set(steps) == {1}:
        del attributes["dilations"]
    if term.operator == "AveragePool" and not any(pads):
        attributes["count_include_pad"] = 1
    return replace(term, attributes=attributes)
