from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocert.paths import patterns

sizes = st.integers(1, 40)


def digest(array: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(array, dtype="<f8").tobytes()).hexdigest()[:16]


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        (patterns.signs(7, (3, 5, 11)), "7738507b35a6288e"),
        (patterns.fog(7, 28, 31), "7adde274de4e29db"),
        (patterns.haze(7, 28, 31), "1d4a7a3d6592f0a2"),
    ],
    ids=["signs", "fog", "haze"],
)
def test_a_seed_means_the_same_picture_for_ever(array, expected):
    assert digest(array) == expected


@given(seed=st.integers(0, 2**63), height=sizes, width=sizes)
def test_veils_are_light_grey_on_the_grid(seed, height, width):
    for veil in (patterns.fog(seed, height, width), patterns.haze(seed, height, width)):
        assert veil.shape == (height, width)
        assert veil.min() >= 0.6
        assert veil.max() <= 1.0
        assert (veil * 2**16 == np.rint(veil * 2**16)).all()


@given(seed=st.integers(0, 2**63), shape=st.tuples(sizes, sizes))
def test_noise_is_plus_or_minus_one(seed, shape):
    assert set(np.unique(patterns.signs(seed, shape))) <= {-1.0, 1.0}


def test_noise_has_both_signs_about_equally_and_depends_on_the_seed():
    first, second = patterns.signs(1, (10_000,)), patterns.signs(2, (10_000,))
    assert abs(first.mean()) < 0.05
    assert abs((first * second).mean()) < 0.05


def test_fog_has_structure_at_several_scales_and_haze_grows_upwards():
    fog, haze = patterns.fog(3, 64, 64), patterns.haze(3, 64, 64)
    assert fog.std() > 0.02
    assert np.abs(np.diff(fog, axis=0)).max() < 0.2
    assert (np.diff(haze.mean(axis=1)) < 0).mean() > 0.9
    assert not np.array_equal(patterns.fog(4, 64, 64), fog)


def test_cached_patterns_cannot_be_changed():
    with pytest.raises(ValueError, match="read-only"):
        patterns.fog(1, 4, 4)[0, 0] = 0.0
