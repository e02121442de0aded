"""Mutations of ONNX models: of the message, not of its bytes, so that most of them reach the importer."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import onnx
from google.protobuf.message import DecodeError
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper

from glocert.graph.onnx import OPERATORS
from tests.fuzz import onnx_tensors
from tests.fuzz.raw import INTEGERS, NUMBERS, TEXTS

Mutation = Callable[[ModelProto, Random], None]
_FOREIGN = ("If", "Loop", "Scan", "RandomNormal", "NonZero", "TopK", "LSTM", "Unheard", "", "Optional")


def mutate(data: bytes, draw: Random) -> bytes | None:
    """Return the model with one mutation; None where it is no model any more, or it has no place for it."""
    model = ModelProto()
    try:
        model.ParseFromString(data)
        draw.choice(MUTATIONS)(model, draw)
        return bytes(model.SerializeToString())
    except (DecodeError, onnx.defs.SchemaError, IndexError, ValueError, TypeError):
        return None


def _node(graph: GraphProto, draw: Random) -> NodeProto:
    return draw.choice(graph.node)


def _names(graph: GraphProto) -> list[str]:
    made = [name for node in graph.node for name in node.output]
    return [*made, *(tensor.name for tensor in graph.initializer), *(entry.name for entry in graph.input)]


def drop_node(model: ModelProto, draw: Random) -> None:
    """Remove a node; half of the time its readers read its input instead."""
    graph, place = model.graph, draw.randrange(len(model.graph.node))
    gone = graph.node[place]
    if draw.random() < 0.5 and gone.input and gone.output:
        for node in graph.node:
            node.input[:] = [gone.input[0] if name == gone.output[0] else name for name in node.input]
    del graph.node[place]


def double_node(model: ModelProto, draw: Random) -> None:
    """Put a node in a second time, mostly in front of the readers of the first."""
    graph, place = model.graph, draw.randrange(len(model.graph.node))
    first, second = graph.node[place], NodeProto()
    second.CopyFrom(first)
    if draw.random() < 0.8:
        second.input[0], second.output[0] = first.output[0], f"{first.output[0]}/again"
        for node in graph.node:
            node.input[:] = [second.output[0] if name == first.output[0] else name for name in node.input]
    graph.node.insert(place + 1, second)


def swap_nodes(model: ModelProto, draw: Random) -> None:
    """Exchange two nodes in the file, or only what they do."""
    one, two = _node(model.graph, draw), _node(model.graph, draw)
    if draw.random() < 0.5:
        one.op_type, two.op_type = two.op_type, one.op_type
        return
    kept = NodeProto()
    kept.CopyFrom(one)
    one.CopyFrom(two)
    two.CopyFrom(kept)


def change_operator(model: ModelProto, draw: Random) -> None:
    """Turn a node into another operator."""
    node = _node(model.graph, draw)
    node.op_type = draw.choice(_FOREIGN) if draw.random() < 0.2 else draw.choice(sorted(OPERATORS))
    if draw.random() < 0.5:
        del node.attribute[:]


def change_domain(model: ModelProto, draw: Random) -> None:
    """Move a node, or the whole model, into another domain or opset."""
    if draw.random() < 0.3:
        _node(model.graph, draw).domain = draw.choice(("ai.onnx", "com.microsoft", "custom", "ai.onnx.ml"))
    elif draw.random() < 0.9:
        model.opset_import[0].version = draw.choice((*range(5, 26), 0, -1, 2**40))
    else:
        model.opset_import.append(helper.make_opsetid(draw.choice(("", "ai.onnx", "custom")), 9))


def rewire(model: ModelProto, draw: Random) -> None:
    """Let a node read or make another tensor."""
    node, names = _node(model.graph, draw), [*_names(model.graph), "", "nowhere"]
    ends = node.input if draw.random() < 0.7 else node.output
    ends[draw.randrange(len(ends))] = draw.choice(names)


def change_arity(model: ModelProto, draw: Random) -> None:
    """Give a node more or fewer inputs or outputs."""
    node = _node(model.graph, draw)
    ends = node.input if draw.random() < 0.7 else node.output
    if draw.random() < 0.5:
        ends.append(draw.choice([*_names(model.graph), "", "extra"]))
    else:
        del ends[draw.randrange(len(ends))]


def insert_operator(model: ModelProto, draw: Random) -> None:
    """Put an operator with attributes of its own between two nodes."""
    graph, place = model.graph, draw.randrange(len(model.graph.node))
    reader = graph.node[place]
    slot = draw.randrange(len(reader.input))
    kind = draw.choice(sorted(OPERATORS))
    schema = onnx.defs.get_schema(kind, model.opset_import[0].version, "")
    names = [reader.input[slot]] + [
        draw.choice(_names(graph)) for _ in range(draw.randrange(schema.min_input, 4) - 1)
    ]
    node = helper.make_node(kind, names, [f"new {place}"])
    for attribute in schema.attributes.values():
        if attribute.required or draw.random() < 0.3:
            node.attribute.append(_any_attribute(attribute.name, int(attribute.type), draw))
    reader.input[slot] = node.output[0]
    graph.node.insert(place, node)


def _any_attribute(name: str, kind: int, draw: Random) -> AttributeProto:
    made = AttributeProto(name=name, type=kind)
    if kind == AttributeProto.INT:
        made.i = _integer(draw)
    elif kind == AttributeProto.INTS:
        made.ints.extend(_integer(draw) for _ in range(draw.randrange(5)))
    elif kind in (AttributeProto.FLOAT, AttributeProto.FLOATS):
        made.f = draw.choice(NUMBERS)
        made.floats.extend(draw.choices(NUMBERS, k=draw.randrange(4)))
    elif kind == AttributeProto.STRING:
        words = ("SAME_UPPER", "VALID", "reflect", "linear", "nearest", "i,ij->j", *TEXTS)
        made.s = draw.choice(words).encode()
    elif kind == AttributeProto.TENSOR:
        made.t.CopyFrom(helper.make_tensor("t", TensorProto.INT64, [1], [draw.choice(INTEGERS)]))
    return made


def _integer(draw: Random) -> int:
    return draw.choice(INTEGERS) if draw.random() < 0.3 else draw.randrange(-3, 6)


def change_attribute(model: ModelProto, draw: Random) -> None:
    """Change, remove, retype, rename or double an attribute."""
    node = draw.choice([node for node in model.graph.node if node.attribute])
    attribute = draw.choice(node.attribute)
    deed = draw.randrange(8)
    if deed == 0:
        node.attribute.remove(attribute)
    elif deed == 1:
        attribute.name = draw.choice(("axis", "perm", "pads", "value", "alpha", *TEXTS))
    elif deed == 2:
        attribute.type = draw.randrange(16)
    elif deed == 3:
        node.attribute.append(attribute)
    elif deed == 4 and attribute.ints:
        attribute.ints.append(_integer(draw))
    elif deed == 5 and attribute.ints:
        attribute.ints[draw.randrange(len(attribute.ints))] = _integer(draw)
    else:
        attribute.CopyFrom(_any_attribute(attribute.name, attribute.type, draw))


def change_input(model: ModelProto, draw: Random) -> None:
    """Change type, shape or number of the inputs and outputs."""
    entry = draw.choice([*model.graph.input, *model.graph.output])
    tensor, deed = entry.type.tensor_type, draw.randrange(6)
    if deed == 0:
        tensor.elem_type = draw.choice((0, 1, 7, 8, 9, 10, 11, 16, 99))
    elif deed == 1:
        entry.type.Clear()
    elif deed == 2:
        tensor.shape.dim.add(dim_value=_integer(draw))
    elif deed == 3 and tensor.shape.dim:
        draw.choice(tensor.shape.dim).dim_param = draw.choice(TEXTS)
    elif deed == 4 and tensor.shape.dim:
        draw.choice(tensor.shape.dim).dim_value = _integer(draw)
    else:
        model.graph.output.add(name=draw.choice(_names(model.graph)))


def change_name(model: ModelProto, draw: Random) -> None:
    """Give something a name that no exporter would."""
    things = [*model.graph.node, *model.graph.initializer, *model.graph.input, *model.graph.output]
    draw.choice(things).name = draw.choice([*TEXTS, *_names(model.graph)])


def add_container(model: ModelProto, draw: Random) -> None:
    """Add a function, a subgraph, a sparse tensor or other versions."""
    deed = draw.randrange(4)
    if deed == 0:
        kind = _node(model.graph, draw).op_type
        body = [helper.make_node(kind, ["a"], ["b"])]
        made = helper.make_function("", kind, ["a"], ["b"], body, list(model.opset_import))
        model.functions.append(made)
    elif deed == 1:
        _node(model.graph, draw).attribute.append(AttributeProto(name="body", type=5, g=model.graph))
    elif deed == 2:
        model.graph.sparse_initializer.add().dims.append(4)
    else:
        model.ir_version = draw.choice((0, 3, 4, 7, 10, 13, 99))


MUTATIONS: tuple[Mutation, ...] = (
    drop_node,
    double_node,
    swap_nodes,
    change_operator,
    change_domain,
    rewire,
    change_arity,
    insert_operator,
    insert_operator,
    change_attribute,
    change_attribute,
    change_input,
    change_name,
    add_container,
    onnx_tensors.mutate,
    onnx_tensors.mutate,
)
