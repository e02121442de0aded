"""The compiled way through a kink against torch's, which is tested by itself."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
import torch

from glocert.segments.grid import insert, joins, ranges, refine
from glocert.segments.knots import Knots
from glocert.segments.ops.kinks import Bent
from glocert.segments.ops.registry import Charges
from tests.glocert.segments.ops.test_kinks import FUNCTIONS, kink

MONOTONE = [name for name in FUNCTIONS if name != "LeakyRelu, falling"]


def drawn(seed: int, several: bool = False) -> tuple[torch.Tensor, Knots]:
    """Return a grid and a curve: some coordinates stay on one side of everything, some touch a level."""
    rng = np.random.default_rng(seed)
    values = np.cumsum(rng.standard_normal((9, 70)) / 3, axis=0) + rng.standard_normal(70)
    values[:, :5] -= 9.0
    values[3, 5:9] = 0.0
    t = np.linspace(0.0, 1.0, 9)
    if several:
        t = np.array([0.0, 0.3, 1.0, 2.0, 2.5, 2.75, 3.0, 4.0, 5.0])
    radius = torch.from_numpy(rng.random(70) * rng.choice([0.0, 1e-12, 0.1], 70))
    return torch.from_numpy(t), Knots(torch.from_numpy(values), radius)


def both(built: Bent, t: torch.Tensor, x: Knots, cut: bool, first: int, last: int) -> tuple[Knots, Knots]:
    """Return the output on a part of the refined grid, both ways."""
    grid = insert(t, built.found(t, x, joins(t))[::2]) if cut else None
    new = t if grid is None else grid.t
    window = first, len(new) - 1 if last < 0 else last
    compiled = built.follow(x, new, grid, window)
    if grid is None:
        part = Knots(x.values[first : window[1] + 1], x.radius, *x.extent())
    else:
        part = refine({"x": x}, grid, *window)["x"]
    if window != (0, len(new) - 1):
        part.low = part.high = part.top = None
    assert compiled is not None
    return compiled, built.bend(part, False, joins(new[window[0] : window[1] + 1]))


def assert_alike(one: Knots, other: Knots) -> None:
    torch.testing.assert_close(one.values, other.values, rtol=0, atol=1e-14)
    torch.testing.assert_close(one.radius, other.radius, rtol=1e-13, atol=0)
    for end, wanted in zip(one.extent(), other.extent(), strict=True):
        torch.testing.assert_close(end, wanted, rtol=0, atol=1e-14)


@pytest.mark.parametrize("name", MONOTONE)
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_one_pass_does_what_refining_and_bending_do(name, cut, several, seed):
    built, _ = kink(name, 70)
    t, x = drawn(seed, several)
    assert_alike(*both(built, t, x, cut, 0, -1))


@pytest.mark.parametrize("cut", [False, True])
def test_a_part_has_its_own_extents_and_hides_its_own_pieces(cut):
    built, _ = kink("Relu", 70)
    for first, last in ranges(8, 3):
        t, x = drawn(7)
        assert_alike(*both(built, t, x, cut, first, last))


@pytest.mark.parametrize("name", ["LeakyRelu", "Clip"])
def test_executions_are_charged_alike(name):
    built, _ = kink(name, 70)
    executed = Bent(
        built.levels,
        built.jump,
        built.slope,
        True,
        built.apply,
        built.rule,
        charges=Charges(1e-6, 1e-30),
        lost=1e-8,
    )
    t, x = drawn(1)
    x.radius[40:] = 2.0**41
    one, other = both(executed, t, x, True, 0, -1)
    assert torch.isinf(one.radius[40:]).all()
    assert_alike(
        Knots(one.values, one.radius[:40], *one.extent()),
        Knots(other.values, other.radius[:40], *other.extent()),
    )


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("several", [False, True])
@pytest.mark.parametrize("seed", range(5))
def test_cuts_are_the_same(name, several, seed):
    built, _ = kink(name, 70)
    t, x = drawn(seed, several)
    expected = built.found(t, x, joins(t))
    np.testing.assert_array_equal(np.sort(built.cuts(t, x, joins(t))), np.sort(expected))
    assert len(expected) or not built.levels


def test_many_cuts_outgrow_the_first_buffer():
    rng = np.random.default_rng(0)
    values = torch.from_numpy(rng.standard_normal((5, 3000)))
    t = torch.linspace(0, 1, 5, dtype=torch.float64)
    x = Knots(values, torch.zeros(3000, dtype=torch.float64))
    built, _ = kink("Clip", 3000)
    found = np.sort(built.cuts(t, x).numpy())
    assert len(found) > 2000
    np.testing.assert_array_equal(found, np.sort(built.found(t, x).numpy()))


@pytest.mark.parametrize("value", [-np.inf, np.inf, np.nan])
@pytest.mark.parametrize("window", [(0, 2), (1, 2)])
def test_a_value_that_is_not_finite_is_never_forgotten(value, window):
    for name in MONOTONE:
        built, _ = kink(name, 2)
        t = torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64)
        x = Knots(
            torch.tensor([[1.0, 1.0], [value, 2.0], [1.0, 3.0]], dtype=torch.float64), torch.zeros(2).double()
        )
        bent = built.follow(x, t, None, window)
        assert bent is not None
        assert not torch.isfinite(bent.radius[0])
        assert torch.isfinite(bent.radius[1])


@pytest.mark.parametrize("name", MONOTONE)
def test_the_truth_is_within_the_radius_of_every_piece(name):
    """In exact arithmetic: uncut pieces, with an error in front of the kink that takes either sign."""
    built, _ = kink(name, 70)
    t, x = drawn(3)
    bent = built.follow(x, t, None, (0, 8))
    assert bent is not None
    for share in (Fraction(0), Fraction(1, 7), Fraction(1, 2), Fraction(9, 10)):
        for column in range(0, 70, 3):
            error = Fraction(float(x.radius[column]))
            for before in range(8):
                raw, model = (
                    _between(values[before : before + 2, column].tolist(), share)
                    for values in (x.values, bent.values)
                )
                for sign in (-1, 1):
                    exact = _exactly(name, raw + sign * error)
                    assert abs(exact - model) <= Fraction(float(bent.radius[column]))


def _between(ends: list[float], share: Fraction) -> Fraction:
    return Fraction(ends[0]) + share * (Fraction(ends[1]) - Fraction(ends[0]))


def _exactly(name: str, x: Fraction) -> Fraction:
    attributes, _ = FUNCTIONS[name]
    if name == "Relu":
        return max(x, Fraction(0))
    if name.startswith("LeakyRelu"):
        return x if x > 0 else Fraction(attributes["alpha"]) * x
    low, high = attributes["min"], attributes["max"]
    x = x if low == -np.inf else max(x, Fraction(low))
    return min(x, Fraction(high))
