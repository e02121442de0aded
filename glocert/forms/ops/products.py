"""Products of two activations, elementwise and of matrices.

With ``x = c + s u + e`` and ``y = d + r u + g`` (|e| <= E, |g| <= G, u in [-1, 1]^k)::

    x y = c d + (c r + d s) u + (s u)(r u) + e y + (c + s u) g

The last two terms are at most ``E peak(y) + (|c| + swing(x)) G``. In the third, a square ``u_j^2`` is in
[0, 1]: its coefficient ``q_jj`` is shared by the centre and the error; a mixed term ``(s_i r_j + s_j r_i)
u_i u_j`` goes to the error. In a matrix product the coefficients are summed before absolute values are
taken.

Rounding: the centre and the slopes are sums of at most ``terms`` products each, and all absolute products
together are at most ``(|c| + swing(x)) (|d| + swing(y))``, summed the same way. A sum of n such terms is
off by dot(n) times that; the few sums of sums on top are covered by a longer n. An execution is off by its
share of the product of both peaks.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import torch
from torch import Tensor

from glocert.forms.form import Form
from glocert.forms.ops.functions import Along
from glocert.forms.ops.functions_power import power_line
from glocert.forms.ops.registry import Charges, Site, Transfer
from glocert.graph.ir import Node

Times = Callable[[Tensor, Tensor], Tensor]


def mul(node: Node, site: Site) -> Transfer:
    """``x * y`` of two activations, numpy broadcasting; the square where both are the same."""
    charges = site.charges(node)
    if node.inputs[0] == node.inputs[1]:
        return _square(site.doubled(Along(power_line(2.0))), charges)
    ranks = tuple(len(site.shape(name)) for name in node.inputs)

    def apply(*inputs: Form) -> Form:
        x, y = (_padded(form, max(ranks)) for form in inputs)
        return multiply(x, y, torch.mul, 1, charges)

    return apply


def _square(square: Transfer, charges: Charges) -> Transfer:
    def apply(x: Form, *_: Form) -> Form:
        result, peak = square(x), x.peak()
        if charges.executed:
            result.error = charges.closed((result.error + peak * peak * charges.executed) * charges.own.up)
        return result

    return apply


def matmul(node: Node, site: Site) -> Transfer:
    """``x @ y`` of two activations, numpy's rules for the per-sample shapes."""
    left, right = (site.shape(name) for name in node.inputs)
    rank, charges = max(len(left), len(right), 2), site.charges(node)

    def apply(*inputs: Form) -> Form:
        x, y = inputs if len(inputs) == 2 else (inputs[0], inputs[0])
        x = _reshaped(x, (1, *left)) if len(left) == 1 else x
        y = _reshaped(y, (*right, 1)) if len(right) == 1 else y
        z = multiply(_padded(x, rank), _padded(y, rank), torch.matmul, left[-1], charges)
        shape = z.shape[:-2] + z.shape[-2:][len(left) == 1 : 1 if len(right) == 1 else 2]
        return _reshaped(z, shape)

    return apply


def multiply(x: Form, y: Form, times: Times, terms: int, charges: Charges) -> Form:
    """Return the form of a bilinear map.

    Args:
        x: left operand, its rank that of ``y``.
        y: right operand.
        times: the bilinear map, a sum of ``terms`` products for each number.
        terms: number of products.
        charges: what roundings cost.
    """
    k, own = len(x.slopes), charges.own
    centre = times(x.centre, y.centre)
    slopes = [times(x.centre, y.slopes[j]) + times(x.slopes[j], y.centre) for j in range(k)]
    error = torch.zeros_like(centre)
    for j in range(k):
        half = times(x.slopes[j], y.slopes[j]) * 0.5
        centre, error = centre + half, error + half.abs()
    for i, j in combinations(range(k), 2):
        error = error + (times(x.slopes[i], y.slopes[j]) + times(x.slopes[j], y.slopes[i])).abs()
    left, right = x.centre.abs() + x.swing(), y.centre.abs() + y.swing()
    roundings = own.dot(terms + 8 + k * k)
    spoilt = times(left, y.error + (right * roundings + own.tiny)) + times(x.error, y.peak())
    if charges.executed:
        spoilt = spoilt + times(x.peak(), y.peak()) * charges.executed
    error = (error + spoilt) * own.grow(terms + 8 + k * k) + own.tiny * (1 + terms)
    return Form(centre, torch.stack(slopes), charges.closed(error))


def _padded(x: Form, rank: int) -> Form:
    """Put axes of length one in front of the per-sample shape."""
    missing = rank - len(x.shape)
    return x if missing <= 0 else _reshaped(x, (1,) * missing + x.shape)


def _reshaped(x: Form, shape: tuple[int, ...]) -> Form:
    rows, k = len(x.centre), len(x.slopes)
    slopes = x.slopes.reshape(k, rows, *shape)
    return Form(x.centre.reshape(rows, *shape), slopes, x.error.reshape(rows, *shape))
