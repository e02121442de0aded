"""A generator in front of a network: how what it makes becomes an image of the domain.

The certified function takes one flat vector ``(z, r, y)``: the latent code, the residual, and the second
image of a pair; the last two where they are wanted. Its image is ``G(z) + r``, and ``y`` behind it on the
channel axis. The clamp to the domain is the first node of what follows. As residual and reference are part of
the input and not of the weights, one graph serves every input of a job.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from glocert.errors import InvalidSpec
from glocert.graph.append import appended, reshaped
from glocert.graph.compose import renamed
from glocert.graph.ir import Attribute, Graph, Node
from glocert.spec import Preprocessing

Shape = tuple[int, ...]
_CHANNELS_FIRST = (2, 0, 1)
_IMAGE = 3


@dataclass(frozen=True, slots=True)
class Layout:
    """What the vector in front of a generator holds, in this order.

    Attributes:
        latent: numbers of a code.
        residual: numbers that are added to the image; 0 where the image is what the generator makes.
        reference: numbers of the constant image behind it; 0 where there is none.
    """

    latent: int
    residual: int = 0
    reference: int = 0

    @property
    def size(self) -> int:
        """How many numbers it holds."""
        return self.latent + self.residual + self.reference


def picturing(generator: Graph, image_shape: Sequence[int], preprocessing: Preprocessing) -> Graph:
    """Return a generator whose output is an image of the domain, before the clamp.

    ``preprocessing`` says how an image becomes what the generator's networks know: here it is undone. For
    ``NHWC`` the channels come first again, the output is multiplied by ``std`` and ``mean`` is added.

    Args:
        generator: its output is an image, or as many numbers in a row.
        image_shape: ``(channels, height, width)`` or ``(features,)``.
        preprocessing: of the generator.

    Raises:
        InvalidSpec: the output is no such image, or mean and std do not fit it.
    """
    wanted, graph = tuple(image_shape), generator
    if preprocessing.layout == "NHWC" and len(graph.output_shape) == _IMAGE:
        shape = tuple(graph.output_shape[axis] for axis in _CHANNELS_FIRST)
        graph = appended(graph, "Transpose", "channels", shape, attributes={"perm": _CHANNELS_FIRST})
    check_image(graph.output_shape, wanted)
    graph = reshaped(graph, wanted, "image")
    for operator, what, values in (("Mul", "std", preprocessing.std), ("Add", "mean", preprocessing.mean)):
        if values:
            if len(values) not in {1, wanted[0]}:
                raise InvalidSpec(f"the generator's {what} has {len(values)} values, images have {wanted[0]}")
            scale = np.asarray(values, dtype=np.float64).reshape(-1, *[1] * (len(wanted) - 1))
            graph = appended(graph, operator, what, wanted, scale)
    return graph


def check_image(made: Shape, wanted: Shape) -> None:
    """Refuse an output that is no image of a shape, up to axes of one element.

    Raises:
        InvalidSpec: says both shapes.
    """
    ours, theirs = (tuple(size for size in shape if size != 1) for shape in (made, wanted))
    flat = len(ours) <= 1 or len(theirs) <= 1
    if prod(made) != prod(wanted) or not (flat or ours == theirs):
        raise InvalidSpec(
            f"the generator makes images of shape {made}, those of the data have shape {wanted}"
        )


def imaging(picture: Graph, residual: bool, reference: Sequence[int] = ()) -> tuple[Graph, Layout]:
    """Return what makes images of vectors ``(z, r, y)``, and what the vectors hold.

    Args:
        picture: code -> image, as ``picturing`` returns it.
        residual: whether something is added to the image.
        reference: shape of the image behind it on the channel axis; empty for none.
    """
    shape = picture.output_shape
    behind = prod(reference) if reference else 0
    layout = Layout(prod(picture.input_shape), prod(shape) if residual else 0, behind)
    front = _Front(renamed(picture, "generator"), layout)
    image = front.picture(picture.input_shape)
    if residual:
        rest = front.part(layout.latent, layout.residual, shape)
        image = front.node("Add", (image, rest), shape)
    if reference:
        start = layout.latent + layout.residual
        back = front.part(start, layout.reference, tuple(reference))
        both = (shape[0] + reference[0], *shape[1:])
        image = front.node("Concat", (image, back), both, {"axis": 0})
    return front.graph(image), layout


class _Front:
    """The nodes about a generator."""

    def __init__(self, generator: Graph, layout: Layout) -> None:
        self._generator, self._size = generator, layout.size
        self._nodes: list[Node] = []
        self._shapes: dict[str, Shape] = {"vector": (layout.size,)}

    def node(
        self,
        operator: str,
        inputs: Sequence[str],
        shape: Shape,
        attributes: dict[str, Attribute] | None = None,
    ) -> str:
        """Append a node and return the name of its output."""
        name = f"{operator.lower()}{len(self._nodes)}"
        self._nodes.append(Node(name, operator, tuple(inputs), name, attributes or {}, "latent"))
        self._shapes[name] = shape
        return name

    def part(self, start: int, length: int, shape: Shape) -> str:
        """Return a part of the vector in a shape."""
        name = "vector"
        if length != self._size:
            places = tuple(range(start, start + length))
            name = self.node("Gather", [name], (length,), {"axis": 0, "indices": places})
        return name if shape == (length,) else self.node("Reshape", [name], shape, {"shape": shape})

    def picture(self, code: Shape) -> str:
        """Append the generator to the first part of the vector and return its output."""
        generator = self._generator
        start = self.part(0, prod(code), code)
        join = {generator.input: start}
        self._nodes += [
            replace(node, inputs=tuple(join.get(name, name) for name in node.inputs))
            for node in generator.nodes
        ]
        self._shapes |= {name: shape for name, shape in generator.shapes.items() if name != generator.input}
        return join.get(generator.output, generator.output)

    def graph(self, output: str) -> Graph:
        """Return the whole."""
        generator = self._generator
        nodes, parameters = tuple(self._nodes), generator.parameters
        return Graph("vector", output, nodes, parameters, self._shapes, generator.notes)
