from __future__ import annotations

import numpy as np
import onnx
import pytest
from google.protobuf.message import DecodeError
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from glocert.errors import ModelTooLarge
from glocert.graph.limits import Limits
from glocert.graph.onnx import read_onnx
from glocert.graph.onnx_file import message
from glocert.graph.wire import Malformed, check_message
from tests.glocert.graph.onnx_models import dense, node

MODEL = onnx.ModelProto.DESCRIPTOR
GRAPH_FIELD, NODE_FIELD = (7 << 3) | 2, (1 << 3) | 2
ATTRIBUTE_FIELD, SUBGRAPH_FIELD = (5 << 3) | 2, (6 << 3) | 2


def walk(data: bytes, **limits: int) -> None:
    check_message(data, MODEL, Limits(**limits))


def wrapped(data: bytes, *fields: int) -> bytes:
    """Put ``data`` into messages of these tags, the last one outermost."""
    for field in fields:
        length, head = len(data), bytearray([field])
        while True:
            head.append(length & 127 | (128 if length > 127 else 0))
            length >>= 7
            if not length:
                break
        data = bytes(head) + data
    return data


def test_real_models_pass_with_room_to_spare() -> None:
    data = dense().SerializeToString()
    walk(data, nesting=7, fields=200)
    walk(b"")


def subgraphs(depth: int) -> bytes:
    """A model whose nodes have graphs as attributes, ``depth`` graphs in all."""
    data = b""
    for _ in range(depth - 1):
        data = wrapped(data, SUBGRAPH_FIELD, ATTRIBUTE_FIELD, NODE_FIELD)
    return wrapped(data, GRAPH_FIELD)


def test_nesting_is_counted_in_messages() -> None:
    """The model, its graph, and three messages for each graph further in."""
    walk(subgraphs(4), nesting=2 + 3 * 3)
    with pytest.raises(ModelTooLarge, match=r"nested 12 deep, more than 11 \(setting max_nesting\)"):
        walk(subgraphs(5), nesting=2 + 3 * 3)
    assert message(subgraphs(4), Limits()) is not None


def test_a_very_deep_message_is_refused_and_not_followed() -> None:
    with pytest.raises(ModelTooLarge, match="nested"):
        walk(subgraphs(20_000))


def test_fields_are_counted_over_all_messages() -> None:
    bomb = wrapped(wrapped(b"", NODE_FIELD) * 1000, GRAPH_FIELD)
    walk(bomb, fields=1001)
    with pytest.raises(ModelTooLarge, match=r"more than 1000 \(setting max_fields\)"):
        walk(bomb, fields=1000)


@pytest.mark.parametrize(
    "data",
    [
        b"\x3a\x05\x0a",  # a graph longer than the file
        b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",  # a length near 2**64
        b"\x08" + b"\xff" * 11,  # a number without end
        b"\x08",  # a number that is missing
        b"\x0d\x01\x02",  # four bytes announced, two there
        b"\x09\x01\x02\x03\x04",  # eight announced
        b"\x3b\x3c",  # a group
        b"\x00\x00",  # field 0
        b"\x0f\x01",  # wire type 7
        wrapped(b"\x0a\x7f", GRAPH_FIELD),  # a node that leaves its graph
    ],
)
def test_what_points_outside_is_no_message(data: bytes) -> None:
    with pytest.raises(Malformed):
        walk(data)
    assert message(data, Limits()) is None


def test_an_inner_length_may_not_leave_its_message_even_inside_the_file() -> None:
    inside = wrapped(b"\x0a\x04", GRAPH_FIELD) + b"\x08\x01\x08\x01"
    with pytest.raises(Malformed):
        walk(inside)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_a_mutated_model_is_walked_or_refused(data: st.DataObject) -> None:
    """Whatever the parser takes, the walk takes as well, within the limits: it is never the stricter one."""
    whole = bytearray(dense().SerializeToString())
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        onnx.ModelProto.FromString(bytes(whole))
    except DecodeError:
        return
    words = ""
    try:
        walk(bytes(whole))
    except Malformed as reason:
        words = str(reason)
    # Groups, which the parser skips and no model has.
    assert words in {"", "a field is of an unknown kind"}


def test_limits_on_counts_are_checked_with_their_settings() -> None:
    data = dense().SerializeToString()
    for limit, setting in (("initializers", "max_initializers"), ("nodes", "max_nodes"), ("rank", "max_rank"),
                           ("attributes", "max_attributes"), ("tensor", "max_tensor")):  # fmt: skip
        with pytest.raises(ModelTooLarge, match=f"setting {setting}"):
            read_onnx(data, limits=Limits(**{limit: 0 if limit == "attributes" else 1}))


def test_a_tensor_of_a_million_axes_is_not_multiplied_out() -> None:
    proto = dense()
    proto.graph.initializer[0].dims.extend([2**62] * 100_000)
    with pytest.raises(ModelTooLarge, match="100002 axes"):
        read_onnx(proto.SerializeToString())


def test_weights_of_an_attribute_are_limited_too() -> None:
    proto = dense()
    value = numpy_helper.from_array(np.ones((2, 3), np.float32), "c")
    proto.graph.node.insert(0, helper.make_node("Constant", [], ["c"], value=value))
    proto.graph.node.extend([node("ReduceSum", ["c"], "unused")])
    assert read_onnx(proto.SerializeToString()).graph.output_shape == (3,)
