"""Small graphs that ask for a lot: activations, constants and nodes that grow from node to node."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import onnx

from tests.glocert.graph.onnx_models import dense, model, node, weights
from tests.hostile.registry import hostile

BILLION = 10**9


def _bomb(*nodes: onnx.NodeProto, shape: Sequence[int | str] = ("N", 4), **tensors: object) -> bytes:
    """Return a model of these nodes, ``x`` to ``b``, and a sum down to two scores behind them."""
    ends = [node("ReduceSum", ["b", "last"], "s", keepdims=1), node("Concat", ["s", "s"], "y", axis=-1)]
    stored = {"last": np.array([-1]), **tensors}
    return bytes(model([*nodes, *ends], stored, shape=shape).SerializeToString())


@hostile("bomb-constant-of-shape.onnx")
def constant_of_shape() -> bytes:
    """ConstantOfShape makes 40 GB out of two numbers."""
    made = node("ConstantOfShape", ["n"], "c")
    return _bomb(made, node("Add", ["x", "c"], "b"), n=np.array([10 * BILLION, 4]))


@hostile("bomb-expand.onnx")
def expand() -> bytes:
    """Expand repeats the input a billion times."""
    return _bomb(node("Expand", ["x", "n"], "b"), n=np.array([1, BILLION, 4]))


@hostile("bomb-expand-constant.onnx")
def expand_constant() -> bytes:
    """Expand repeats a constant until it has a trillion numbers."""
    return _bomb(
        node("Expand", ["c", "n"], "d"),
        node("Add", ["x", "d"], "b"),
        c=weights(1, 1),
        n=np.array([10**12, 4]),
    )


@hostile("bomb-tile.onnx")
def tile() -> bytes:
    """Tile repeats the input 2^40 times."""
    return _bomb(node("Tile", ["x", "n"], "b"), n=np.array([1, 2**40]))


@hostile("bomb-tile-constant.onnx")
def tile_constant() -> bytes:
    """Tile repeats a constant of length zero-padded lengths that overflow 64 bits."""
    return _bomb(
        node("Tile", ["c", "n"], "d"), node("Add", ["x", "d"], "b"), c=weights(4, 4), n=np.array([2**62] * 2)
    )


@hostile("bomb-range.onnx")
def counting() -> bytes:
    """Range counts to a trillion."""
    nodes = [
        node("Range", ["zero", "n", "one"], "r"),
        node("Cast", ["r"], "f", to=1),
        node("Add", ["x", "f"], "b"),
    ]
    return _bomb(*nodes, zero=np.array(0), n=np.array(10**12), one=np.array(1))


@hostile("bomb-range-slow.onnx")
def counting_slowly() -> bytes:
    """Range counts to one in steps of 1e-30."""
    nodes = [node("Range", ["zero", "n", "step"], "r"), node("Add", ["x", "r"], "b")]
    return _bomb(*nodes, zero=np.float32(0), n=np.float32(1), step=np.float32(1e-30))


@hostile("bomb-pad.onnx")
def pad() -> bytes:
    """Pad puts a billion zeros on every side."""
    return _bomb(node("Pad", ["x", "p"], "b"), shape=("N", 1, 4, 4), p=np.array([0, 0, *[BILLION] * 2] * 2))


@hostile("bomb-resize.onnx")
def resize() -> bytes:
    """Resize enlarges an image a hundred thousand times in both directions."""
    made = node("Resize", ["x", "", "scales"], "b", mode="nearest")
    return _bomb(made, shape=("N", 1, 4, 4), scales=np.float32([1, 1, 1e5, 1e5]))


@hostile("bomb-resize-sizes.onnx")
def resize_to() -> bytes:
    """Resize to 2^31 by 2^31."""
    made = node("Resize", ["x", "", "", "sizes"], "b", mode="linear")
    return _bomb(made, shape=("N", 1, 4, 4), sizes=np.array([1, 1, 2**31, 2**31]))


@hostile("bomb-upsample.onnx")
def upsample() -> bytes:
    """Upsample of opset 9, a million times in both directions."""
    made = node("Upsample", ["x", "scales"], "b", mode="nearest")
    tensors = {"scales": np.float32([1, 1, 1e6, 1e6])}
    nodes = [made, node("Flatten", ["b"], "f"), node("Relu", ["f"], "y")]
    return bytes(model(nodes, tensors, shape=("N", 1, 4, 4), opset=9).SerializeToString())


@hostile("bomb-gather.onnx")
def gather() -> bytes:
    """Gathers of a thousand indices each, five in a row: a quadrillion copies of one number."""
    names = ["x", *(f"g{place}" for place in range(4)), "b"]
    nodes = [node("Gather", [one, "i"], two, axis=1) for one, two in pairwise(names)]
    return _bomb(*nodes, i=np.zeros((1000,) * 1, np.int64).reshape(10, 100))


@hostile("bomb-concat.onnx")
def concat() -> bytes:
    """Concat of a tensor with itself, forty times in a row."""
    names = ["x", *(f"c{place}" for place in range(39)), "b"]
    return _bomb(*(node("Concat", [one, one], two, axis=1) for one, two in pairwise(names)))


@hostile("bomb-concat-constant.onnx")
def concat_constant() -> bytes:
    """The same with a constant, which is folded while the model is read."""
    names = ["w", *(f"c{place}" for place in range(40))]
    nodes = [node("Concat", [one, one], two, axis=0) for one, two in pairwise(names)]
    return _bomb(*nodes, node("Add", ["x", "c39"], "b"), w=weights(4))


@hostile("bomb-broadcast.onnx")
def broadcast() -> bytes:
    """Sums of the input with constants along ever new axes."""
    tensors = {f"w{axis}": weights(*([100] + [1] * axis)) for axis in range(1, 12)}
    names = ["x", *(f"a{axis}" for axis in range(1, 11)), "b"]
    nodes = [node("Add", [names[axis - 1], f"w{axis}"], names[axis]) for axis in range(1, 12)]
    return _bomb(*nodes, **tensors)


@hostile("bomb-conv-transpose.onnx")
def conv_transpose() -> bytes:
    """A transposed convolution with a stride of a hundred thousand."""
    made = node("ConvTranspose", ["x", "w"], "b", strides=[100_000, 100_000])
    return _bomb(made, shape=("N", 1, 4, 4), w=weights(1, 1, 2, 2))


@hostile("bomb-conv-transpose-padding.onnx")
def conv_transpose_output() -> bytes:
    """A transposed convolution told to have 2^31 rows."""
    made = node("ConvTranspose", ["x", "w"], "b", output_shape=[2**31, 2**31])
    return _bomb(made, shape=("N", 1, 4, 4), w=weights(1, 1, 2, 2))


@hostile("bomb-conv-pads.onnx")
def conv_pads() -> bytes:
    """A convolution of an image that is padded by a million on every side."""
    made = node("Conv", ["x", "w"], "b", pads=[10**6] * 4)
    return _bomb(made, shape=("N", 1, 4, 4), w=weights(1, 1, 2, 2))


@hostile("bomb-pool-window.onnx")
def pool_window() -> bytes:
    """An average over a window of 2^30 by 2^30, padded to fit."""
    made = node("AveragePool", ["x"], "b", kernel_shape=[2**30] * 2, pads=[2**29] * 4)
    return _bomb(made, shape=("N", 1, 4, 4))


@hostile("bomb-einsum.onnx")
def einsum() -> bytes:
    """An outer product of the input with a constant over and over, written as one Einsum."""
    made = node("Einsum", ["x", *["w"] * 6], "b", equation="ab,c,d,e,f,g,h->abcdefgh")
    return _bomb(made, w=weights(100))


@hostile("bomb-outer.onnx")
def outer() -> bytes:
    """A product of two activations with a billion entries."""
    nodes = [
        node("Unsqueeze", ["x", "a"], "p"),
        node("Unsqueeze", ["x", "c"], "q"),
        node("Mul", ["p", "q"], "b"),
    ]
    return _bomb(*nodes, shape=("N", 40_000), a=np.array([1]), c=np.array([2]))


@hostile("bomb-dense.onnx")
def matmul_of_wide() -> bytes:
    """A convolution on an image of 20,000 by 20,000 pixels with a thousand channels."""
    made = node("Conv", ["x", "w"], "b")
    return _bomb(made, shape=("N", 1, 20_000, 20_000), w=weights(1000, 1, 1, 1))


@hostile("bomb-one-hot.onnx")
def one_hot() -> bytes:
    """OneHot with a depth of a trillion."""
    nodes = [node("OneHot", ["i", "depth", "v"], "h"), node("MatMul", ["x", "h"], "b")]
    return _bomb(*nodes, i=np.arange(4), depth=np.array(10**12), v=np.float32([0, 1]))


@hostile("bomb-split.onnx")
def split() -> bytes:
    """Split into a million outputs of nothing."""
    made = onnx.helper.make_node("Split", ["x"], ["b", *(f"o{place}" for place in range(100_000))], axis=1)
    return _bomb(made)


@hostile("bomb-power.onnx")
def power() -> bytes:
    """Integers that double two hundred times while the graph is folded."""
    names = ["n", *(f"p{place}" for place in range(200))]
    nodes = [node("Mul", [one, one], two) for one, two in pairwise(names)]
    return _bomb(*nodes, node("Expand", ["x", "p199"], "b"), n=np.array([3]))


@hostile("deep-chain.onnx")
def deep_chain() -> bytes:
    """Fifty thousand nodes in a row."""
    names = ["x", *(f"r{place}" for place in range(49_999)), "b"]
    return _bomb(*(node("Relu", [one], two) for one, two in pairwise(names)))


@hostile("wide-fan.onnx")
def wide_fan() -> bytes:
    """A node with two hundred thousand inputs."""
    return _bomb(node("Sum", ["x"] * 200_000, "b"))


@hostile("double-paths.onnx")
def double_paths() -> bytes:
    """Sixty layers that each read the one before twice: 2^60 paths, numbers that overflow."""
    names = ["x", *(f"d{place}" for place in range(1_999)), "b"]
    return _bomb(*(node("Add", [one, one], two) for one, two in pairwise(names)))


@hostile("rank-hundred.onnx")
def rank_hundred() -> bytes:
    """A tensor of a hundred axes."""
    return _bomb(node("Reshape", ["x", "s"], "b"), s=np.array([-1, *[1] * 98, 4]))


@hostile("input-huge.onnx")
def input_huge() -> bytes:
    """An input of 2^40 numbers."""
    return _bomb(node("Relu", ["x"], "b"), shape=("N", 2**20, 2**20))


@hostile("input-overflow.onnx")
def input_overflow() -> bytes:
    """An input whose number of elements does not fit into 64 bits."""
    return _bomb(node("Relu", ["x"], "b"), shape=("N", 2**62, 2**62))


@hostile("subgraph-if.onnx")
def subgraph_if() -> bytes:
    """A branch on a constant, with a whole network in either arm."""
    arm = dense().graph
    made = onnx.helper.make_node("If", ["yes"], ["b"], then_branch=arm, else_branch=arm)
    return _bomb(made, yes=np.array(True))


@hostile("loop-endless.onnx")
def loop_endless() -> bytes:
    """A loop without an end."""
    entry = [onnx.helper.make_tensor_value_info(name, kind, []) for name, kind in (("i", 7), ("go", 9))]
    body = onnx.helper.make_graph([node("Identity", ["go"], "on")], "body", entry, [
        onnx.helper.make_tensor_value_info("on", 9, [])])  # fmt: skip
    made = onnx.helper.make_node("Loop", ["", "yes", "x"], ["b"], body=body)
    return _bomb(made, yes=np.array(True))


@hostile("bomb-upsample-row.onnx")
def upsample_row() -> bytes:
    """Upsample of one axis only, to forty million positions."""
    nodes = [node("Upsample", ["x", "scales"], "b", mode="nearest"), node("Flatten", ["b"], "y")]
    tensors = {"scales": np.float32([1, 1, 1, 1e7])}
    return bytes(model(nodes, tensors, shape=("N", 1, 1, 4), opset=9).SerializeToString())


@hostile("bomb-slice-positions.onnx")
def many_positions() -> bytes:
    """A selection of forty million positions, which a ConstantOfShape lists."""
    nodes = [node("ConstantOfShape", ["n"], "i", value=onnx.helper.make_tensor("v", 7, [1], [1]))]
    return _bomb(*nodes, node("Gather", ["x", "i"], "b", axis=1), n=np.array([40_000_000]))
