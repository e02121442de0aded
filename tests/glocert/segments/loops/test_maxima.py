"""The compiled way through max pooling against torch's, which is tested by itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.segments import prepare
from glocert.segments.grid import insert, joins, ranges, refine
from glocert.segments.knots import Knots
from glocert.segments.ops.maxima import Maximum
from tests.glocert.segments.networks import Draft
from tests.glocert.segments.ops.test_maxima import GEOMETRIES

GRIDS = {
    "one path": [0.0, 0.1, 0.5, 0.75, 0.8, 1.0],
    "several paths": [0.0, 0.5, 1.0, 2.0, 2.25, 3.0],
}


def pooling(geometry, turned: bool = False) -> Maximum:
    """Return the kink; ``turned``, its input does not lie channels last."""
    draft = Draft(5, 6, 3) if turned else Draft(3, 5, 6)
    x = draft.node("Transpose", ["x"], [3, 5, 6], perm=(2, 0, 1)) if turned else "x"
    kink = prepare(draft.graph(draft.pool("MaxPool", x, **geometry))).steps[-1].transfer
    assert isinstance(kink, Maximum)
    assert (kink.index is not None) == turned
    return kink


def drawn(seed: int, grid: str, whole: bool = False) -> tuple[torch.Tensor, Knots]:
    rng = np.random.default_rng(seed)
    values = rng.integers(-2, 3, (6, 90)).astype(float) if whole else rng.standard_normal((6, 90))
    radius = torch.from_numpy(rng.random(90) * rng.choice([0.0, 1e-12, 0.1], 90))
    return torch.tensor(GRIDS[grid], dtype=torch.float64), Knots(torch.from_numpy(values), radius)


def assert_same(kink: Maximum, t: torch.Tensor, x: Knots, cut: bool, window: tuple[int, int]) -> None:
    """Compare what comes out of a part of the refined grid."""
    grid = insert(t, kink.found(t, x, joins(t))[::2]) if cut else None
    new = t if grid is None else grid.t
    first, last = window if window[1] >= 0 else (0, len(new) - 1)
    compiled = kink.follow(x, new, grid, (first, last))
    assert compiled is not None
    part = Knots(x.values[first : last + 1], x.radius, *x.extent())
    if grid is not None:
        part = refine({"x": x}, grid, first, last)["x"]
    if (first, last) != (0, len(new) - 1):
        part.low = part.high = part.top = None
    expected = kink.bend(part, False, joins(new[first : last + 1]))
    torch.testing.assert_close(compiled.values, expected.values, rtol=0, atol=0)
    torch.testing.assert_close(compiled.radius, expected.radius, rtol=1e-13, atol=0)
    for end, wanted in zip(compiled.extent(), expected.extent(), strict=True):
        torch.testing.assert_close(end, wanted, rtol=0, atol=1e-14)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("cut", [False, True])
@pytest.mark.parametrize("whole", [False, True])
def test_one_pass_does_what_refining_and_bending_do(geometry, turned, grid, cut, whole):
    assert_same(pooling(geometry, turned), *drawn(0, grid, whole), cut, (0, -1))


@pytest.mark.parametrize("cut", [False, True])
def test_a_part_has_its_own_extents_and_hides_its_own_pieces(cut):
    for window in ranges(5, 2):
        assert_same(pooling(GEOMETRIES[1]), *drawn(1, "one path"), cut, window)


@pytest.mark.parametrize("geometry", GEOMETRIES)
@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("whole", [False, True])
def test_cuts_are_the_same(geometry, turned, grid, whole):
    """Whole numbers make lines that meet at vertices, or are the same all along."""
    kink, (t, x) = pooling(geometry, turned), drawn(2, grid, whole)
    expected = np.unique(kink.found(t, x, joins(t)).numpy())
    found = np.unique(kink.cuts(t, x, joins(t)).numpy())
    assert len(found) > 5
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-15)


def test_many_corners_outgrow_the_first_buffer():
    rng = np.random.default_rng(4)
    draft = Draft(8, 9, 9)
    kink = prepare(draft.graph(draft.pool("MaxPool", "x", (3, 3), (1, 1)))).steps[0].transfer
    t = torch.linspace(0, 1, 7, dtype=torch.float64)
    x = Knots(torch.from_numpy(rng.standard_normal((7, 648))), torch.zeros(648).double())
    found = np.unique(kink.cuts(t, x).numpy())
    assert len(found) > 1000
    np.testing.assert_allclose(found, np.unique(kink.found(t, x).numpy()), rtol=0, atol=1e-15)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("where", ["values", "radius"])
@pytest.mark.parametrize("window", [(0, 5), (2, 4)])
def test_what_is_not_finite_leaves_no_finite_radius_in_its_windows(value, where, window):
    kink, (t, x) = pooling(GEOMETRIES[0]), drawn(5, "one path")
    if where == "values":
        x.values[3, 0] = value
    else:
        x.radius[0] = abs(value)
    bent = kink.follow(x, t, None, window)
    assert bent is not None
    assert not torch.isfinite(bent.radius[0])
    assert torch.isfinite(bent.radius[1:]).all()
