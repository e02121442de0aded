from __future__ import annotations

import numpy as np
import pytest
import torch

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
