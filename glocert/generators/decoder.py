"""A generator as mathematics wants it: rows of codes in, images out, in float64, a block at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import prod

import torch
from torch import Tensor
from torch.autograd import forward_ad

from glocert.errors import InvalidSpec
from glocert.graph.ir import Graph
from glocert.graph.run import run

BLOCK_BYTES = 2**28
_COPIES = 4
"""arrays as large as the largest activation that are alive at once: values and slopes, before and after"""


class Decoder:
    """Runs ``G`` on flat codes.

    Args:
        picture: code -> image of the domain, before any clamp.
        block_bytes: what one block of activations may take.

    Attributes:
        dimension: numbers of a code.
        shape: of an image.
    """

    def __init__(self, picture: Graph, block_bytes: int = BLOCK_BYTES) -> None:
        self._graph = picture
        self._weights: Mapping[str, Tensor] = {
            name: torch.tensor(array, dtype=torch.float64) for name, array in picture.parameters.items()
        }
        self.dimension: int = prod(picture.input_shape)
        self.shape: tuple[int, ...] = picture.output_shape
        largest = max(prod(shape) for shape in picture.shapes.values())
        self.rows: int = max(1, block_bytes // (8 * _COPIES * largest))
        """codes of one block"""

    def images(self, codes: Tensor) -> Tensor:
        """Return images, shape (n, *shape), of codes, shape (n, dimension), both float64.

        Raises:
            InvalidSpec: an image is not finite.
        """
        with torch.no_grad():
            images = torch.cat([self._run(block) for block in torch.split(codes, self.rows)])
        return _finite(images)

    def pushed(self, codes: Tensor, tangents: Tensor) -> Iterator[Tensor]:
        """Yield ``J(z) u`` for pairs of a code and a tangent, flat, a block of rows at a time.

        Forward mode: one pass for every pair, whatever the size of the image.

        Args:
            codes: float64, shape (n, dimension).
            tangents: same shape.

        Yields:
            Shape (rows, numbers of an image).

        Raises:
            InvalidSpec: a slope is not finite.
        """
        for some, ways in self._blocks(codes, tangents):
            with torch.no_grad(), forward_ad.dual_level():
                image = self._run(forward_ad.make_dual(some, ways))  # type: ignore[no-untyped-call]
                change = forward_ad.unpack_dual(image).tangent  # type: ignore[no-untyped-call]
            still = torch.zeros_like(some[:, :1]).expand(len(some), prod(self.shape))
            yield _finite(still if change is None else change.reshape(len(some), -1))

    def pulled(self, codes: Tensor, cotangents: Tensor) -> Tensor:
        """Return ``J(z)^T w`` for pairs of a code and a flat image, by reverse mode, shape (n, dimension)."""
        found = []
        for some, ways in self._blocks(codes, cotangents):
            leaf = some.clone().requires_grad_()
            image = self._run(leaf).reshape(len(some), -1)
            found.append(torch.autograd.grad((image * ways).sum(), leaf)[0])
        return _finite(torch.cat(found))

    def _blocks(self, codes: Tensor, ways: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield blocks of pairs, in memory of their own: repeated rows are written to behind the scenes."""
        for some, theirs in zip(torch.split(codes, self.rows), torch.split(ways, self.rows), strict=True):
            yield some.contiguous(), theirs.contiguous()

    def _run(self, codes: Tensor) -> Tensor:
        return run(self._graph, codes.reshape(-1, *self._graph.input_shape), self._weights)


def _finite(values: Tensor) -> Tensor:
    if not torch.isfinite(values).all():
        raise InvalidSpec("the generator returns NaN or infinity there")
    return values
