"""The inert graph: the only form of a network that is ever computed on.

A graph is data: no code, no pickles, no references. It is stored as one safetensors file whose header carries
the structure as JSON, and its identity is the sha256 of those bytes.

Conventions that every reader may rely on:

- Every activation has a leading batch axis that ``shapes`` and ``axis``/``perm`` attributes do not count.
- Every node has exactly one output, and its operator is one of the canonical ones below.
- Nodes are in topological order; ``graph.output`` is an activation.
- Parameters have no batch axis; they broadcast against the per-sample shape. float32 or float64, finite.

Canonical operators (``x``, ``y`` activations; capitals are parameters):

=================== ======================== ==========================================================
operator            inputs                   attributes
=================== ======================== ==========================================================
Add, Sub            (x, y), (x, P), (P, x)   none; numpy broadcasting of per-sample shapes
Mul                 (x, P), (P, x), (x, y)   none
Div                 (x, P)                   none; no zero in P
MatMul              (x, W), (W, x), (x, y)   none; per-sample matrix product as numpy, W of rank 1 or 2
Gemm                (x, W[, b])              none; x of shape (k,), W of shape (n, k): y = W x + b
Conv                (x, W[, b])              strides (2), pads (top, left, bottom, right), dilations (2),
                                             group
BatchNormalization  (x, scale, bias, mean,   epsilon (float); per channel = first axis
                    var)
Relu                (x,)                     none
LeakyRelu           (x,)                     alpha (float)
Clip                (x,)                     min, max (floats, either may be -inf or inf)
MaxPool             (x,)                     kernel_shape (2), strides (2), pads (4), dilations (2)
AveragePool         (x,)                     kernel_shape (2), strides (2), pads (4), count_include_pad (0|1)
Reshape             (x,)                     shape: per-sample, no -1
Transpose           (x,)                     perm: of the per-sample axes
Concat              (x | P, ...)             axis; at least one activation; a P has the full per-sample rank
Pad                 (x,)                     pads: begins then ends, per-sample axes; value (float)
Gather              (x,)                     axis; indices: positions along it, in any order, repeated or not
ReduceSum           (x,)                     axes: ascending, per-sample; they are gone afterwards
Softmax             (x,)                     axis
Pow                 (x,)                     exponent (float)
Elu                 (x,)                     alpha (float): x above zero, alpha (exp(x) - 1) below
Gelu                (x,)                     approximate: "none" (with erf) or "tanh"
Sigmoid, Tanh, Exp, (x,)                     none; Silu is x sigmoid(x), Mish x tanh(softplus(x)), HardSwish
Log, Sqrt, Erf,                              x min(max(x/6 + 1/2, 0), 1), Sign is 0 at 0
Reciprocal,
Softplus, Silu,
Mish, HardSwish,
Sin, Cos, Sign
=================== ======================== ==========================================================

Padding of a MaxPool never wins. A pooling window starts at ``o * stride - pad_begin``; the number of windows
is what ``shapes`` says (that is how ``ceil_mode`` is settled). The divisor of an AveragePool is the number of
window positions inside the padded extent ``[-pad_begin, size + pad_end)`` when ``count_include_pad``, else
inside ``[0, size)``; AveragePool means the exact sum over that count.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Attribute = int | float | str | tuple[int, ...] | tuple[float, ...]
Array = NDArray[np.floating[Any]]
FORMAT = "glocert-graph/1"


@dataclass(frozen=True, slots=True)
class Node:
    """One operation.

    Attributes:
        name: unique in the graph; the name in the upload where it had one.
        operator: canonical operator.
        inputs: names of activations and parameters, in the operator's order.
        output: name of the activation that it makes.
        attributes: see the module's table.
        source: operator in the upload, e.g. ``aten::linear`` or ``Flatten``, for messages.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    source: str = ""

    def ints(self, key: str) -> tuple[int, ...]:
        """Return an attribute that is a list of integers."""
        value = self.attributes[key]
        if not isinstance(value, tuple):
            raise TypeError(f"{self.operator}.{key} is not a list")
        return tuple(int(part) for part in value)

    def number(self, key: str) -> float:
        """Return an attribute that is one number."""
        value = self.attributes[key]
        if not isinstance(value, int | float):
            raise TypeError(f"{self.operator}.{key} is not a number")
        return float(value)


@dataclass(frozen=True, slots=True, eq=False)
class Graph:
    """A feed-forward network with one input and one output; compare graphs by ``digest()``.

    Attributes:
        input: name of the input activation.
        output: name of the output activation.
        nodes: in topological order.
        parameters: name -> float32 or float64 array, finite.
        shapes: name of every activation -> per-sample shape (no batch axis).
        notes: what the importer changed and the user should know, one sentence each.
    """

    input: str
    output: str
    nodes: tuple[Node, ...]
    parameters: Mapping[str, Array]
    shapes: Mapping[str, tuple[int, ...]]
    notes: tuple[str, ...] = ()

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Per-sample shape of the input."""
        return self.shapes[self.input]

    @property
    def output_shape(self) -> tuple[int, ...]:
        """Per-sample shape of the output."""
        return self.shapes[self.output]

    @property
    def operators(self) -> dict[str, int]:
        """Canonical operators with their counts, by name."""
        return dict(sorted(Counter(node.operator for node in self.nodes).items()))

    @property
    def parameter_count(self) -> int:
        """How many numbers the parameters hold."""
        return sum(int(array.size) for array in self.parameters.values())

    def is_activation(self, name: str) -> bool:
        """Whether ``name`` varies with the input."""
        return name in self.shapes

    def last_uses(self) -> dict[str, int]:
        """Return for every activation the position of the last node that reads it (-1: never read)."""
        uses = dict.fromkeys(self.shapes, -1)
        for position, node in enumerate(self.nodes):
            uses |= {name: position for name in node.inputs if name in uses}
        uses[self.output] = len(self.nodes)
        return uses

    def to_bytes(self) -> bytes:
        """Serialise; equal graphs give equal bytes.

        The metadata has a single key, because safetensors writes several in a random order.
        """
        from safetensors.numpy import save

        tensors = {name: np.asarray(self.parameters[name], order="C") for name in sorted(self.parameters)}
        return save(tensors, metadata={"graph": self._structure()})

    def digest(self) -> str:
        """Return the sha256 of ``to_bytes`` in hex: the graph's identity."""
        return hashlib.sha256(self.to_bytes()).hexdigest()

    def _structure(self) -> str:
        return json.dumps(
            {
                "format": FORMAT,
                "input": self.input,
                "output": self.output,
                "nodes": [_node_json(node) for node in self.nodes],
                "shapes": {name: list(shape) for name, shape in self.shapes.items()},
                "notes": list(self.notes),
            },
            sort_keys=True,
            separators=(",", ":"),
        )

    @classmethod
    def from_bytes(cls, data: bytes) -> Graph:
        """Read what ``to_bytes`` wrote.

        Raises:
            ValueError: not such a file.
        """
        from safetensors.numpy import load

        header_length = int.from_bytes(data[:8], "little")
        metadata = json.loads(data[8 : 8 + header_length]).get("__metadata__", {})
        structure = json.loads(metadata.get("graph", "{}"))
        if structure.get("format") != FORMAT:
            raise ValueError(f"not a {FORMAT} file")
        return cls(
            input=structure["input"],
            output=structure["output"],
            nodes=tuple(_node_from_json(node) for node in structure["nodes"]),
            parameters=load(data),
            shapes={name: tuple(shape) for name, shape in structure["shapes"].items()},
            notes=tuple(structure["notes"]),
        )


def _node_json(node: Node) -> dict[str, Any]:
    return {
        "name": node.name,
        "operator": node.operator,
        "inputs": list(node.inputs),
        "output": node.output,
        "attributes": {key: _encode(value) for key, value in sorted(node.attributes.items())},
        "source": node.source,
    }


def _node_from_json(data: Mapping[str, Any]) -> Node:
    attributes = {key: _decode(value) for key, value in data["attributes"].items()}
    return Node(
        data["name"], data["operator"], tuple(data["inputs"]), data["output"], attributes, data["source"]
    )


def _encode(value: Attribute) -> Any:
    """JSON has no infinity: floats travel as text, everything else as it is."""
    if isinstance(value, float):
        return {"float": repr(value)}
    return list(value) if isinstance(value, tuple) else value


def _decode(value: Any) -> Attribute:
    if isinstance(value, dict):
        return float(value["float"])
    if isinstance(value, Sequence) and not isinstance(value, str):
        return tuple(value)
    if isinstance(value, int | str):
        return value
    raise ValueError(f"unknown attribute {value!r}")
