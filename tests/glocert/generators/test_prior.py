from __future__ import annotations

import numpy as np
import pytest
import torch

from glocert.generators.directions.extent import usual
from glocert.generators.prior import Prior

KINDS = ["normal", "uniform"]


def inside(kind: str, codes: np.ndarray) -> np.ndarray:
    if kind == "uniform":
        return (np.abs(codes) <= 1 + 1e-12).all(1)
    return np.linalg.norm(codes, axis=1) <= np.sqrt(codes.shape[1]) + 3 + 1e-12


@pytest.mark.parametrize("kind", KINDS)
def test_projection_ends_inside_and_leaves_the_inside_alone(kind):
    rng = np.random.default_rng(0)
    codes = rng.standard_normal((50, 7)) * 4
    found = Prior(kind).projected(torch.from_numpy(codes)).numpy()
    assert inside(kind, found).all()
    there = inside(kind, codes)
    assert (found[there] == codes[there]).all()
    assert not there.all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(20))
def test_a_path_leaves_where_samples_leave(kind, seed):
    rng = np.random.default_rng(seed)
    start = rng.uniform(-0.9, 0.9, 5)
    stop = start + rng.standard_normal(5) * rng.choice([0.1, 2.0, 6.0])
    t = np.linspace(0, 1, 20001)
    there = inside(kind, start + t[:, None] * (stop - start))
    found = Prior(kind).left_at(start, stop)
    if there.all():
        assert found is None or found > 1 - 1e-9
    else:
        assert found == pytest.approx(t[there.argmin()], abs=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_outside_from_the_start(kind):
    far = np.array([9.0, 0.0])
    assert Prior(kind).left_at(far, np.zeros(2)) == 0.0
    assert Prior(kind).left_at(np.zeros(2), np.zeros(2)) is None


def test_samples_are_those_of_the_seed():
    one, two = (Prior("uniform").sample(4, 3, np.random.default_rng(1)) for _ in range(2))
    assert (one == two).all()
    assert np.abs(one).max() <= 1
    assert Prior("normal").penalty(torch.full((1, 4), 2.0)).item() == 4.0
    assert Prior("uniform").penalty(torch.full((1, 4), 0.5)).item() == 0.0
    with pytest.raises(ValueError, match="no prior 'cauchy'"):
        Prior("cauchy")


def test_spreads_stretch_all_that_a_normal_prior_says():
    """A code divided by its spreads is a code of the standard prior: every answer is the same."""
    spreads = (4.0, 1.0, 0.25)
    wide, plain = Prior("normal", spreads), Prior("normal")
    drawn = wide.sample(20000, 3, np.random.default_rng(0))
    np.testing.assert_allclose(drawn.std(0), spreads, rtol=0.03)
    codes = np.random.default_rng(1).standard_normal((40, 3)) * 5
    given = torch.from_numpy(codes * np.array(spreads))
    torch.testing.assert_close(wide.penalty(given), plain.penalty(torch.from_numpy(codes)))
    inside_ = plain.projected(torch.from_numpy(codes)) * torch.tensor(spreads)
    torch.testing.assert_close(wide.projected(given), inside_.double())
    for start, stop in zip(codes[:20], codes[20:], strict=True):
        found, other = wide.left_at(start * spreads, stop * spreads), plain.left_at(start, stop)
        assert found == (None if other is None else pytest.approx(other))
    assert plain.left_at(np.zeros(3), np.array([20.0, 0.0, 0.0])) != wide.left_at(
        np.zeros(3), np.array([20.0, 0.0, 0.0])
    )


def test_spreads_that_are_none():
    for kind, spreads in (("uniform", (1.0,)), ("normal", (1.0, 0.0)), ("normal", (float("inf"),))):
        with pytest.raises(ValueError, match="spreads are of a normal prior, and positive"):
            Prior(kind, spreads)
    with pytest.raises(ValueError, match="2 spreads for codes of 3 numbers"):
        Prior("normal", (1.0, 2.0)).sample(1, 3, np.random.default_rng(0))
    assert Prior.of({"prior": "normal", "spreads": [2.0]}) == Prior("normal", (2.0,))
    assert Prior.of({}) == Prior("normal")


def test_a_direction_goes_two_deviations_by_default():
    along = torch.tensor([0.6, 0.8, 0.0], dtype=torch.float64)
    assert float(usual(Prior("normal"), along)) == 2.0
    assert float(usual(Prior("uniform"), along)) == 1.0
    wide = Prior("normal", (4.0, 1.0, 0.25))
    drawn = wide.sample(20000, 3, np.random.default_rng(0)) @ along.numpy()
    assert float(usual(wide, along)) == pytest.approx(2 * drawn.std(), rel=0.03)
