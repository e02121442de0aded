"""Attributes and weights that no exporter writes: NaN, infinity, wrong types, lies."""

from __future__ import annotations

import numpy as np
import onnx

from tests.glocert.graph.onnx_models import dense, model, node, weights
from tests.hostile.registry import hostile

NAN, INF = float("nan"), float("inf")


def _after(*nodes: onnx.NodeProto, **tensors: object) -> bytes:
    """Return a model of these nodes, ``x`` of 4 numbers to ``y``."""
    return bytes(model(nodes, tensors).SerializeToString())


@hostile("nan-leaky-relu.onnx")
def leaky_relu() -> bytes:
    """LeakyRelu with a slope that is NaN."""
    return _after(node("LeakyRelu", ["x"], "y", alpha=NAN))


@hostile("nan-elu.onnx")
def elu() -> bytes:
    """Elu with an infinite alpha."""
    return _after(node("Elu", ["x"], "y", alpha=INF))


@hostile("nan-gemm.onnx")
def gemm() -> bytes:
    """Gemm with an infinite alpha."""
    return _after(node("Gemm", ["x", "w"], "y", alpha=INF), w=weights(4, 3))


@hostile("nan-hard-sigmoid.onnx")
def hard_sigmoid() -> bytes:
    """HardSigmoid with NaN for both of its numbers."""
    return _after(node("HardSigmoid", ["x"], "y", alpha=NAN, beta=NAN))


@hostile("nan-clip.onnx")
def clip() -> bytes:
    """Clip between NaN and NaN."""
    return _after(node("Clip", ["x", "n", "n"], "y"), n=np.float32(NAN))


@hostile("nan-prelu.onnx")
def prelu() -> bytes:
    """PRelu with a slope that is infinite."""
    return _after(node("PRelu", ["x", "n"], "y"), n=np.float32([1, INF, 1, 1]))


@hostile("nan-pow.onnx")
def power() -> bytes:
    """Pow with an infinite exponent."""
    return _after(node("Pow", ["x", "n"], "y"), n=np.float32(INF))


@hostile("nan-epsilon.onnx")
def epsilon() -> bytes:
    """BatchNormalization with a NaN epsilon."""
    names = ["x", *"stmv"]
    return _after(
        node("BatchNormalization", names, "y", epsilon=NAN), **{name: weights(4) for name in "stmv"}
    )


@hostile("negative-variance.onnx")
def variance() -> bytes:
    """BatchNormalization with a negative variance."""
    tensors = {"s": weights(4), "t": weights(4), "m": weights(4), "v": np.full(4, -1, np.float32)}
    return _after(node("BatchNormalization", ["x", *"stmv"], "y"), **tensors)


@hostile("negative-epsilon.onnx")
def negative_epsilon() -> bytes:
    """BatchNormalization with a variance of 9 and an epsilon of -1."""
    tensors = {"s": weights(4), "t": weights(4), "m": weights(4), "v": np.full(4, 9, np.float32)}
    return _after(node("BatchNormalization", ["x", *"stmv"], "y", epsilon=-1.0), **tensors)


@hostile("nan-layer-norm.onnx")
def layer_norm() -> bytes:
    """LayerNormalization with an epsilon of minus infinity."""
    return _after(node("LayerNormalization", ["x", "s"], "y", axis=-1, epsilon=-INF), s=weights(4))


@hostile("nan-resize.onnx")
def resize() -> bytes:
    """Resize with scales that are NaN."""
    made = node("Resize", ["x", "", "n"], "y", mode="nearest")
    return bytes(model([made], {"n": np.float32([1, 1, NAN, NAN])}, shape=("N", 1, 2, 2)).SerializeToString())


@hostile("nan-pad-value.onnx")
def pad_value() -> bytes:
    """Pad with NaN."""
    return _after(node("Pad", ["x", "p", "n"], "y"), p=np.array([0, 1, 0, 1]), n=np.float32(NAN))


@hostile("nan-division.onnx")
def division() -> bytes:
    """A division by zero weights."""
    return _after(node("Div", ["x", "z"], "y"), z=np.float32([1, 0, 1, 1]))


@hostile("nan-constant.onnx")
def constant() -> bytes:
    """A NaN in a Constant node."""
    made = onnx.helper.make_node("Constant", [], ["c"], value_floats=[NAN, 1.0, 1.0, 1.0])
    return _after(made, node("Add", ["x", "c"], "y"))


@hostile("nan-half.onnx")
def half() -> bytes:
    """Weights in half precision that are infinite."""
    nodes = [node("Cast", ["w"], "f", to=1), node("MatMul", ["x", "f"], "y")]
    return _after(*nodes, w=np.full((4, 3), np.inf, np.float16))


@hostile("overflow-weights.onnx")
def overflow() -> bytes:
    """Finite weights whose product overflows."""
    tensors = {"v": np.full((4, 4), 3e38, np.float32), "w": np.full((4, 3), 3e38, np.float32)}
    return _after(node("MatMul", ["x", "v"], "h"), node("MatMul", ["h", "w"], "y"), **tensors)


@hostile("attribute-tensor-huge.onnx")
def tensor_huge() -> bytes:
    """A Constant that declares 2^60 numbers and carries one."""
    made = node("Constant", [], "c", value=onnx.helper.make_tensor("t", 1, [1], [1.0]))
    made.attribute[0].t.dims[:] = [2**30, 2**30]
    return _after(made, node("Add", ["x", "c"], "y"))


@hostile("attribute-tensor-unused.onnx")
def tensor_unused() -> bytes:
    """A Relu with an attribute of eighty megabytes."""
    made = node("Relu", ["x"], "y", junk=onnx.numpy_helper.from_array(np.zeros(20_000_000, np.float32)))
    return _after(made)


@hostile("attribute-many.onnx")
def attributes_many() -> bytes:
    """A node with a hundred thousand attributes."""
    return _after(node("Relu", ["x"], "y", **{f"a{place}": 1 for place in range(100_000)}))


@hostile("attribute-long-list.onnx")
def long_list() -> bytes:
    """A permutation of five million axes."""
    return _after(node("Transpose", ["x"], "y", perm=list(range(5_000_000))))


@hostile("attribute-reference.onnx")
def reference() -> bytes:
    """An attribute that refers to one of a function that is not there."""
    made = node("LeakyRelu", ["x"], "y", alpha=0.1)
    made.attribute[0].ref_attr_name = "outer"
    return _after(made)


@hostile("attribute-twice.onnx")
def attribute_twice() -> bytes:
    """Two slopes for one LeakyRelu."""
    made = node("LeakyRelu", ["x"], "y", alpha=0.1)
    made.attribute.append(onnx.helper.make_attribute("alpha", 0.9))
    return _after(made)


@hostile("axis-far.onnx")
def axis_far() -> bytes:
    """A Concat along axis 2^62."""
    return _after(node("Concat", ["x", "x"], "y", axis=2**62))


@hostile("stride-zero.onnx")
def stride_zero() -> bytes:
    """A convolution that never moves on."""
    made = node("Conv", ["x", "w"], "y", strides=[0, 0])
    return bytes(model([made], {"w": weights(2, 1, 1, 1)}, shape=("N", 1, 2, 2)).SerializeToString())


@hostile("group-zero.onnx")
def group_zero() -> bytes:
    """A convolution in zero groups."""
    made = node("Conv", ["x", "w"], "y", group=0)
    return bytes(model([made], {"w": weights(2, 1, 1, 1)}, shape=("N", 1, 2, 2)).SerializeToString())


@hostile("dilation-negative.onnx")
def dilation_negative() -> bytes:
    """A convolution that looks backwards."""
    made = node("Conv", ["x", "w"], "y", dilations=[-1, -1])
    return bytes(model([made], {"w": weights(2, 1, 2, 2)}, shape=("N", 1, 4, 4)).SerializeToString())


@hostile("opset-twice.onnx")
def opset_twice() -> bytes:
    """Two versions of the standard operators at once."""
    made = dense()
    made.opset_import.append(onnx.helper.make_opsetid("ai.onnx", 9))
    return bytes(made.SerializeToString())
