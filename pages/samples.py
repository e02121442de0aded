"""Small networks for every operator of an upload: the standard's own test cases, and the importers' tests."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from glocert.errors import GlocertError
from glocert.forms.ops.registry import REGISTRY as FORMS
from glocert.graph.families import is_smooth
from glocert.graph.imported import Imported
from glocert.graph.onnx import OPERATORS, read_onnx
from glocert.graph.torchscript import read_torchscript
from glocert.segments.ops.registry import REGISTRY as SEGMENTS
from tests.fuzz.seeds import own
from tests.glocert.graph import onnx_models, torch_functions
from tests.glocert.graph.onnx_models import node
from tests.glocert.graph.torch_forms import Wrapped, example, traced

ENOUGH = 24
"""imports of an operator after which more of its test cases are left out"""
FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE)


@dataclass(slots=True)
class Seen:
    """What importing samples has shown of one operator.

    Attributes:
        becomes: canonical operators that stand for it.
        exact: whether there was a sample in which the exact engine knows all of them.
        enclosed: whether there was one with a smooth node, and the enclosing engine knows all of them.
        imported: samples with it that were imported.
    """

    becomes: set[str] = field(default_factory=set)
    exact: bool = False
    enclosed: bool = False
    imported: int = 0


def note(seen: dict[str, Seen], imported: Imported) -> None:
    """Write down what an import has made of its operators."""
    graph = imported.graph
    for operator in imported.operators:
        entry = seen.setdefault(operator, Seen())
        nodes = [one for one in graph.nodes if one.source == operator]
        names = {one.operator for one in nodes}
        entry.imported += 1
        entry.becomes |= names
        if any(is_smooth(graph, one) for one in nodes):
            entry.enclosed |= names <= FORMS.keys()
        else:
            entry.exact |= names <= SEGMENTS.keys()


def onnx_operators() -> dict[str, Seen]:
    """Import the standard's test cases of nodes, and the small models of the fuzzer."""
    from onnx.backend.test.case.node import collect_testcases

    seen: dict[str, Seen] = {}
    for seed in own():
        if seed.name.endswith(".onnx"):
            note(seen, read_onnx(seed.data))
    for model in _written():
        note(seen, read_onnx(model.SerializeToString()))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    for case in cases:
        kind = case.model.graph.node[0].op_type
        if kind not in OPERATORS or (kind in seen and seen[kind].imported >= ENOUGH):
            continue
        for model in _networks(case):
            data = model.SerializeToString()
            if not _tried(seen, partial(read_onnx, data, input_shape=_shape(model))):
                _tried(seen, partial(read_onnx, _with_batch(model)))
    return seen


def _written() -> Iterator[onnx.ModelProto]:
    """Yield networks for the operators whose test cases are of later opsets, or do not have one input."""
    sequence = {"shape": ("N", 3, 4)}
    matrix = {"w": onnx_models.weights(4, 2)}
    yield onnx_models.model([node("Celu", ["x"], "y", alpha=0.5)])
    yield onnx_models.model([node("ThresholdedRelu", ["x"], "y", alpha=0.0)])
    yield onnx_models.model([node("CastLike", ["x", "w"], "y")], matrix)
    yield onnx_models.model([node("Squeeze", ["x", "a"], "y")], {"a": np.array([2])}, shape=("N", 4, 1))
    yield onnx_models.model([node("DepthToSpace", ["x"], "y", blocksize=2)], shape=("N", 4, 2, 2))
    yield onnx_models.model([node("SpaceToDepth", ["x"], "y", blocksize=2)], shape=("N", 1, 4, 4))
    yield onnx_models.model([node("Exp", ["x"], "e"), node("ReduceLogSum", ["e"], "y", axes=[1])], **sequence)
    yield onnx_models.model([node("ReduceLogSumExp", ["x"], "y", axes=[1])], **sequence)
    yield onnx_models.model([node("Einsum", ["x", "w"], "y", equation="nij,jk->nik")], matrix, **sequence)
    heads = {"q_num_heads": 1, "kv_num_heads": 1}
    yield onnx_models.model([node("Attention", ["x"] * 3, "y", **heads)], opset=23, **sequence)


def _tried(seen: dict[str, Seen], read: Callable[[], Imported]) -> bool:
    """Note an import, unless the sample asks for what is not supported."""
    try:
        note(seen, read())
    except GlocertError:
        return False
    return True


def _with_batch(model: onnx.ModelProto) -> bytes:
    """Say that the first axis of the input is a batch of any size."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    axes = made.graph.input[0].type.tensor_type.shape.dim
    if axes:
        axes[0].dim_param = "N"
    return bytes(made.SerializeToString())


def _networks(case: object) -> Iterator[onnx.ModelProto]:
    """Yield networks of one input from a test case: each float input varies in turn, or two at once."""
    model, sets = case.model, case.data_sets  # type: ignore[attr-defined]
    if len(model.graph.node) != 1 or not sets or not all(isinstance(one, np.ndarray) for one in sets[0][0]):
        return
    entries = [entry for entry in model.graph.input if entry.name]
    values = dict(zip([entry.name for entry in entries], sets[0][0], strict=False))
    kinds = {entry.name: entry.type.tensor_type.elem_type for entry in entries}
    floats = [name for name in values if kinds[name] in FLOATS]
    for name in floats[:3]:
        yield _with_constants(model, {name: name}, values)
    if len(floats) > 1 and values[floats[0]].shape == values[floats[1]].shape:
        yield _with_constants(model, {floats[0]: floats[0], floats[1]: floats[0]}, values)
    if not floats:
        yield from _folded(model, values)


def standard() -> Iterator[tuple[str, onnx.ModelProto, np.ndarray, np.ndarray]]:
    """Yield every test case of the standard as a network of one input: name, model, input, first output."""
    from onnx.backend.test.case.node import collect_testcases

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cases = collect_testcases(None)
    for case in cases:
        if case.model.graph.node[0].op_type in OPERATORS:
            for model in _networks(case):
                name = model.graph.input[0].name
                places = [entry.name for entry in case.model.graph.input]
                if name in places and list(model.graph.node[0].input) == list(case.model.graph.node[0].input):
                    inputs, outputs = case.data_sets[0]
                    yield case.name, model, inputs[places.index(name)], outputs[0]


def _with_constants(
    model: onnx.ModelProto, varying: Mapping[str, str], values: Mapping[str, np.ndarray]
) -> onnx.ModelProto:
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for stored in made.graph.node:
        stored.input[:] = [varying.get(name, name) for name in stored.input]
    kept = [entry for entry in model.graph.input if entry.name in varying.values()]
    del made.graph.input[:]
    made.graph.input.extend(kept)
    made.graph.initializer.extend(
        numpy_helper.from_array(value, name) for name, value in values.items() if name not in varying
    )
    return made


def _folded(model: onnx.ModelProto, values: Mapping[str, np.ndarray]) -> Iterator[onnx.ModelProto]:
    """Add what the node makes of constants to an input."""
    made = _with_constants(model, {}, values)
    name = made.graph.node[0].output[0]
    made.graph.node.append(helper.make_node("Cast", [name], ["cast"], to=TensorProto.FLOAT))
    made.graph.node.append(helper.make_node("Mul", ["x", "cast"], ["sum"]))
    entry = made.graph.output[0].type.tensor_type.shape
    shape = [size.dim_value or 1 for size in entry.dim] or [1]
    made.graph.input.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, shape))
    del made.graph.output[:]
    made.graph.output.append(helper.make_tensor_value_info("sum", TensorProto.FLOAT, None))
    yield made


def _shape(model: onnx.ModelProto) -> tuple[int, ...]:
    """Name every axis of the input, which says that none of them is a batch."""
    return tuple(size.dim_value for size in model.graph.input[0].type.tensor_type.shape.dim)


def aten_operators() -> dict[str, Seen]:
    """Import every function and layer that the importers' tests know, and the small modules of the fuzzer."""
    seen: dict[str, Seen] = {}
    for seed in own():
        if seed.name.endswith(".pt"):
            note(seen, read_torchscript(seed.data, input_shape=seed.input_shape)[0])
    for function, shape in torch_functions.cases().values():
        _tried(seen, partial(_torchscript, Wrapped(function), shape))
    for layer, shape in torch_functions.layers().values():
        _tried(seen, partial(_torchscript, layer, shape))
    return seen


def _torchscript(module: nn.Module, shape: tuple[int, ...]) -> Imported:
    data = traced(module.eval(), example(shape))
    return read_torchscript(data, input_shape=shape)[0]


def versions(name: str) -> str:
    """Return the opsets from 7 to 23 that have a standard operator."""
    known = [number for number in range(7, 24) if onnx.defs.has(name, max_inclusive_version=number)]
    schemas = [onnx.defs.get_schema(name, number, "") for number in known]
    alive = [number for number, schema in zip(known, schemas, strict=True) if not schema.deprecated]
    return f"{alive[0]} to {alive[-1]}" if alive else ""
