"""Parts that bend: tighter than tensor by tensor where there is one kink, and how steep they are seen to be.

A rectifier is half its input plus half its absolute value. A part with a single one, otherwise affine, is
therefore an affine map plus ``B |z| / 2``, z being the rectifier's input, which changes by at most
``|A|`` times the distance, and B what follows. Its constant is at most the norm of the affine map with the
rectifier halved plus ``|B| |A| / 2``. For a residual block ``x + B relu(A x)`` that is the norm of
``I + B A / 2`` plus ``|B| |A| / 2``, never more than ``1 + |B| |A|``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from glocert.graph.families import is_nonlinear
from glocert.graph.ir import Array, Graph, Node
from glocert.graph.run import run
from glocert.lipschitz.affine import affine_norm
from glocert.lipschitz.norm import Norm
from glocert.lipschitz.regions import Region
from glocert.lipschitz.spectrum import lanczos
from glocert.rounding import UNIT, grow

_STEPS = 8


def halfway(region: Graph, before: Mapping[str, float], after: Callable[[str], float]) -> Norm | None:
    """Bound a part with a single rectifier, or return None where there are others.

    Args:
        region: the part.
        before: tensor -> bound on how fast it changes with the input of the part.
        after: tensor -> bound on how fast the output changes with it.
    """
    kinks = [node for node in region.nodes if is_nonlinear(region, node)]
    if len(kinks) != 1 or kinks[0].operator not in {"Relu", "LeakyRelu"}:
        return None
    (kink,) = kinks
    alpha = kink.number("alpha") if kink.operator == "LeakyRelu" else 0.0
    middle, half = (1 + alpha) / 2, abs(1 - alpha) / 2 * grow(2) + 4 * UNIT * (1 + abs(alpha))
    linear = Region(_with_factor(region, kink, middle), affine=True)
    bent = half * before[kink.inputs[0]] * after(kink.output) * grow(4)
    return Norm((affine_norm(linear, [linear]).upper + bent) * grow(2), 0.0, "half the kink")


def _with_factor(region: Graph, kink: Node, factor: float) -> Graph:
    """Return the region with a kink replaced by a multiplication."""
    name = f"{kink.output}/half"
    parameters: dict[str, Array] = {**region.parameters, name: np.array([factor])}
    changed = replace(kink, operator="Mul", inputs=(kink.inputs[0], name), attributes={})
    nodes = tuple(changed if node is kink else node for node in region.nodes)
    return Graph(region.input, region.output, nodes, parameters, region.shapes)


def steepest(region: Graph) -> float:
    """Return an unproven lower estimate of a Lipschitz constant: the norm of the Jacobian at a few points."""
    generator = torch.Generator().manual_seed(0)
    shape = (1, *region.input_shape)
    around_zero = torch.randn(shape, generator=generator, dtype=torch.float64)
    pixels = torch.rand(shape, generator=generator, dtype=torch.float64)
    return max(_steepness(region, point) for point in (around_zero, pixels))


def _steepness(region: Graph, point: Tensor) -> float:
    """Return a lower estimate of the norm of the Jacobian at one point."""
    x = point.requires_grad_()
    y = run(region, x)
    weights = torch.zeros_like(y).requires_grad_()
    (pulled,) = torch.autograd.grad(y, x, weights, create_graph=True)

    def there_and_back(vector: Tensor) -> Tensor:
        (pushed,) = torch.autograd.grad(pulled, weights, vector.reshape(x.shape), retain_graph=True)
        (back,) = torch.autograd.grad(y, x, pushed, retain_graph=True)
        return back.detach().reshape(-1)

    found = lanczos(there_and_back, math.prod(region.input_shape), _STEPS)
    return math.sqrt(max(found, 0.0)) * (1 - 1e-12) if math.isfinite(found) else 0.0
