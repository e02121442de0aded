"""Average pooling backwards: every pixel gets its share of each window's adjoint."""

from __future__ import annotations

import torch
from torch import Tensor

from glocert.forms.backward.ops.affine import Affine, lifted
from glocert.forms.backward.registry import Reverse, reverse
from glocert.forms.ops.pooling import Window, window
from glocert.forms.ops.registry import Site
from glocert.graph.ir import Node
from glocert.graph.pooling import divisors


def spread(geometry: Window, parts: list[Tensor], inside: tuple[int, ...]) -> Tensor:
    """Return the sum of what each place of the windows sends back, shape (..., *inside).

    Args:
        geometry: of the node.
        parts: for each place, shape (..., channels, out height, out width).
        inside: channels, height, width of the image.
    """
    left, right, top, bottom = geometry.pads
    framed = parts[0].new_zeros(*parts[0].shape[:-2], inside[1] + top + bottom, inside[2] + left + right)
    for place, part in zip(geometry.places(), parts, strict=True):
        geometry.shifted(framed, place).add_(part)
    return torch.nn.functional.pad(framed, [-end for end in geometry.pads])


@reverse("AveragePool")
def average_pool(node: Node, site: Site) -> Reverse:
    """A sum over each window, divided by an exact count."""
    geometry = window(node, site)
    inside, outside = site.shape(node.inputs[0]), site.shape(node.output)
    counts = divisors(node, inside[1:], geometry.outside)
    divisor = torch.tensor(counts, dtype=site.dtype, device=site.device)
    places = geometry.kernel[0] * geometry.kernel[1]

    def back(adjoint: Tensor) -> Tensor:
        shared = adjoint / divisor
        return spread(geometry, [shared] * places, inside)

    size = lifted(lambda x: geometry.total(x) / divisor, places + 1, site.rounding)
    return Affine(back, size, None, places + 1, outside, site.charges(node))
