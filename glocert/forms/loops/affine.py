"""Affine maps of forms: what is charged before and after the products."""

from __future__ import annotations

import math

from glocert.compiled import compiled
from glocert.forms.loops.views import Array


@compiled("(F[:, ::1], F[::1], float64, float64, float64, float64, F[::1])")
def spread(
    lines: Array, error: Array, lift: float, share: float, executed: float, tiny: float, out: Array
) -> None:
    """Write what an affine node takes through ``|W|``, see ``Charges.spread``.

    That is ``error + share * lift * sum |lines| + tiny``, and ``executed`` of the error.

    Args:
        lines: shape (1 + k, n).
        error: shape (n,).
        lift: lifts a sum of 1 + k numbers.
        share: of the magnitude.
        executed: of the error.
        tiny: what may underflow.
        out: shape (n,).
    """
    kind = error.dtype.type
    lift, share, executed, tiny = kind(lift), kind(share), kind(executed), kind(tiny)
    if len(lines) == 2:
        for j in range(len(error)):
            total = error[j] + (abs(lines[0, j]) + abs(lines[1, j])) * lift * share + tiny
            out[j] = total + error[j] * executed
        return
    for j in range(len(error)):
        size = abs(lines[0, j])
        for i in range(1, len(lines)):
            size += abs(lines[i, j])
        out[j] = error[j] + size * lift * share + tiny + error[j] * executed


@compiled("(F[::1], F[::1], F[::1], UniTuple(float64, 2), float64, float64)")
def closed(
    centre: Array, error: Array, bias: Array, shares: tuple[float, float], tiny: float, limit: float
) -> None:
    """Add the bias to the centre and its charge to the error, in place; lift the error, see ``Linear``.

    Args:
        centre: shape (n,).
        error: shape (n,).
        bias: shape (period,), for every run of as many numbers; empty where there is none.
        shares: what a bias is charged, and the factor that lifts a sum.
        tiny: what may underflow.
        limit: errors above it become infinite.
    """
    kind = error.dtype.type
    share, grow, tiny, limit = kind(shares[0]), kind(shares[1]), kind(tiny), kind(limit)
    period = len(bias)
    if period == 0:
        for j in range(len(error)):
            value = error[j] * grow + tiny
            error[j] = value if value <= limit else kind(math.inf)
        return
    for start in range(0, len(error), period):
        for i in range(period):
            j = start + i
            centre[j] += bias[i]
            value = (error[j] + abs(bias[i]) * share) * grow + tiny
            error[j] = value if value <= limit else kind(math.inf)


@compiled(
    "(Tuple((F[:, ::1], F[::1])), Tuple((F[:, ::1], F[::1])), float64, UniTuple(float64, 4), "
    "UniTuple(float64, 2), F[:, ::1], F[::1])"
)
def added(
    one: tuple[Array, Array],
    other: tuple[Array, Array],
    sign: float,
    own: tuple[float, float, float, float],
    limits: tuple[float, float],
    out: Array,
    bound: Array,
) -> None:
    """Write ``x + sign y`` of two forms, see ``glocert.forms.ops.affine.Sum``.

    Args:
        one: lines and error of x, shapes (1 + k, n) and (n,).
        other: those of y.
        sign: 1 or -1.
        own: what lifts a sum of 1 + k numbers, charge, up and tiny of the number type.
        limits: share of the magnitudes that executing costs, and the error above which nothing is known.
        out: shape (1 + k, n).
        bound: shape (n,), the new error.
    """
    kind = bound.dtype.type
    lift, charge, up, tiny = kind(own[0]), kind(own[1]), kind(own[2]), kind(own[3])
    sign, executed, limit = kind(sign), kind(limits[0]), kind(limits[1])
    (x, x_error), (y, y_error) = one, other
    if len(x) == 2 and executed == 0:
        for j in range(len(bound)):
            centre, slope = x[0, j] + sign * y[0, j], x[1, j] + sign * y[1, j]
            out[0, j], out[1, j] = centre, slope
            bound[j] = (x_error[j] + y_error[j] + (abs(centre) + abs(slope)) * lift * charge) * up + tiny
        return
    for j in range(len(bound)):
        size, sizes = kind(0.0), kind(0.0)
        for i in range(len(x)):
            total = x[i, j] + sign * y[i, j]
            out[i, j] = total
            size += abs(total)
            sizes += abs(x[i, j]) + abs(y[i, j])
        errors = x_error[j] + y_error[j]
        value = (errors + size * lift * charge + (sizes * lift + errors) * executed * up) * up + tiny
        bound[j] = value if value <= limit else kind(math.inf)


@compiled(
    "(Tuple((F[:, ::1], F[::1])), UniTuple(F[::1], 4), int64, UniTuple(float64, 5), UniTuple(float64, 2), "
    "F[:, ::1], F[::1])"
)
def scaled(
    x: tuple[Array, Array],
    constants: tuple[Array, Array, Array, Array],
    inner: int,
    own: tuple[float, float, float, float, float],
    limits: tuple[float, float],
    out: Array,
    bound: Array,
) -> None:
    """Write ``g x + h``, see ``glocert.forms.ops.affine.Scale``.

    Args:
        x: lines and error, shapes (1 + k, n) and (n,).
        constants: g, a bound on it, h, and one on that: one number for each channel.
        inner: how many numbers of a channel lie side by side.
        own: what lifts a sum of 1 + k numbers, charge and up of the number type, what may underflow before
            and after the product.
        limits: share of the magnitudes that executing costs, and the error above which nothing is known.
        out: shape (1 + k, n).
        bound: shape (n,), the new error.
    """
    kind = bound.dtype.type
    lift, charge, up, before, tiny = kind(own[0]), kind(own[1]), kind(own[2]), kind(own[3]), kind(own[4])
    executed, limit, endless = kind(limits[0]), kind(limits[1]), kind(math.inf)
    (lines, error), (factor, factors, shift, shifts) = x, constants
    for start in range(0, len(bound), len(factor) * inner):
        for c in range(len(factor)):
            gain, gains, sizes = factor[c], factors[c], shifts[c] * (charge + executed)
            if len(lines) == 2:
                moved = shift[c]
                for j in range(start + c * inner, start + (c + 1) * inner):
                    centre, slope = lines[0, j], lines[1, j]
                    out[0, j], out[1, j] = centre * gain + moved, slope * gain
                    size = (abs(centre) + abs(slope)) * lift
                    spread = error[j] + size * (charge + executed) + before + error[j] * executed
                    value = (spread * gains + sizes) * up + tiny
                    bound[j] = value if value <= limit else endless
                continue
            for j in range(start + c * inner, start + (c + 1) * inner):
                size = kind(0.0)
                for line in range(len(lines)):
                    size += abs(lines[line, j])
                    out[line, j] = lines[line, j] * gain
                out[0, j] += shift[c]
                spread = error[j] + size * lift * (charge + executed) + before + error[j] * executed
                value = (spread * gains + sizes) * up + tiny
                bound[j] = value if value <= limit else endless
