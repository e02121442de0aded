"""Einsum."""

from __future__ import annotations

import numpy as np

from glocert.graph import lowering_einsum
from glocert.graph.fold import Folded, check_known, check_room
from glocert.graph.onnx_operators.registry import Call, folds, operator
from glocert.graph.values import Value


@operator("Einsum")
def einsum(call: Call) -> Value:
    """Emit a sum of products in index notation."""
    values = [call.value(position) for position in range(len(call.inputs))]
    return lowering_einsum.einsum(call.emitter, call.text("equation", ""), values)


@folds("Einsum")
def of_constants(call: Call) -> Value:
    """Return a sum of products of constants."""
    arrays = [call.constant(position).array for position in range(len(call.inputs))]
    check_known(*arrays)
    terms, result = lowering_einsum.parse(call.text("equation", ""), [array.ndim for array in arrays])
    sizes = {
        letter: size
        for term, array in zip(terms, arrays, strict=True)
        for letter, size in zip(term, array.shape, strict=True)
    }
    check_room(tuple(sizes.values()), call.limits)
    total = np.einsum(f"{','.join(terms)}->{result}", *arrays)
    return call.folded(Folded(np.asarray(total), rounded=True))
