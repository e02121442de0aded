"""Sums, means and extremes over axes."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from glocert.graph import lowering_norms, lowering_reduce
from glocert.graph.onnx_operators.registry import Call, operator
from glocert.graph.values import Activation, Unsupported, Value

_EMIT: Mapping[str, Callable[..., Activation]] = {
    "ReduceL1": lowering_norms.reduce_l1,
    "ReduceL2": lowering_norms.reduce_l2,
    "ReduceLogSum": lowering_norms.reduce_log_sum,
    "ReduceLogSumExp": lowering_norms.reduce_log_sum_exp,
    "ReduceMax": lowering_reduce.reduce_max,
    "ReduceMean": lowering_reduce.reduce_mean,
    "ReduceMin": lowering_reduce.reduce_min,
    "ReduceSum": lowering_reduce.reduce_sum,
    "ReduceSumSquare": lowering_norms.reduce_square,
}
_OF_ONE = frozenset({"ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum"})
"""Reductions that leave a number alone as it is."""


@operator(*_EMIT)
def reduction(call: Call) -> Value:
    """Emit a reduction; its axes are an attribute in old opsets and an input in new ones."""
    x, axes = call.activation(), call.integers(1, "axes")
    keep, skip = bool(call.integer("keepdims", 1)), bool(call.integer("noop_with_empty_axes", 0))
    if not axes and skip:
        if call.node.op_type in _OF_ONE:
            return x
        raise Unsupported("it names no axes, and runtimes disagree on what that means", "Name the axes.")
    return _EMIT[call.node.op_type](call.emitter, x, axes or None, keepdims=keep)
