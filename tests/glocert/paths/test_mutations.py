"""Every exact point of a path, computed with fractions, lies within the radius of the stored line."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocert.errors import InvalidSpec
from glocert.paths import patterns
from glocert.paths.items import Items
from glocert.paths.mutations import MUTATIONS, segment
from glocert.spec import MUTATION_UNITS, Mutation, Preprocessing

H, W = 3, 4
RNG = np.random.default_rng(5)
STORED = RNG.integers(0, 256, (4, H, W), dtype=np.uint8)
Exact = Callable[[Fraction, Fraction, int], Fraction]
parameters = st.floats(-4, 4, allow_subnormal=True)
shares = st.floats(0, 1)
ratios = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 1.0, 0.1, 1 / 3]))


def items(domain: tuple[float, float] = (0.0, 1.0)) -> Items:
    return Items(STORED, (1, H, W), Preprocessing(lower=domain[0], upper=domain[1]))


def check(kind: str, ends: tuple[float, float], options: dict[str, Any], t: float, exact: Exact) -> None:
    """Compare the stored line at ``t`` with the definition of the mutation, pixel by pixel."""
    data = items()
    path = segment(Mutation(kind, *ends, options), data[1], items=data)
    start, stop, ratio = Fraction(ends[0]), Fraction(ends[1]), Fraction(t)
    value = start + ratio * (stop - start)
    flat = [array.ravel() for array in (data[1], path.start, path.stop, path.radius)]
    for at, (x, a, b, radius) in enumerate(zip(*flat, strict=True)):
        line = (1 - ratio) * Fraction(float(a)) + ratio * Fraction(float(b))
        assert abs(line - exact(Fraction(float(x)), value, at)) <= Fraction(float(radius))
        assert radius <= 1e-14


def between(far: Callable[[int], Fraction]) -> Exact:
    return lambda x, share, at: x + share * (far(at) - x)


def levels(array: np.ndarray) -> Callable[[int], Fraction]:
    return lambda at: Fraction(float(array.ravel()[at]))


@given(start=parameters, stop=parameters, t=ratios)
def test_brightness(start, stop, t):
    check("brightness", (start, stop), {}, t, lambda x, added, _: x + added)


@given(start=parameters, stop=parameters, about=st.floats(-1, 2), t=ratios)
def test_contrast(start, stop, about, t):
    centre = Fraction(about)
    check("contrast", (start, stop), {"about": about}, t, lambda x, factor, _: centre + factor * (x - centre))


@given(start=parameters, stop=parameters, seed=st.integers(0, 99), t=ratios)
def test_noise(start, stop, seed, t):
    pattern = levels(patterns.signs(seed, (1, H, W)))
    check("noise", (start, stop), {"seed": seed}, t, lambda x, amplitude, at: x + amplitude * pattern(at))


@given(kind=st.sampled_from(["fog", "haze"]), start=shares, stop=shares, seed=st.integers(0, 99), t=ratios)
def test_veils(kind, start, stop, seed, t):
    veil = {"fog": patterns.fog, "haze": patterns.haze}[kind](seed, H, W)
    check(kind, (start, stop), {"seed": seed}, t, between(levels(veil)))


@given(start=shares, stop=shares, level=st.floats(0, 1), t=ratios)
def test_blend_to_a_level(start, stop, level, t):
    check("blend", (start, stop), {"overlay": {"level": level}}, t, between(lambda _: Fraction(level)))


@given(start=shares, stop=shares, item=st.integers(0, 3), t=ratios)
def test_chord_and_blend_to_an_item(start, stop, item, t):
    far = levels(items()[item])
    check("chord", (start, stop), {"item": item}, t, between(far))
    check("blend", (start, stop), {"overlay": {"item": item}}, t, between(far))


@pytest.mark.parametrize(
    ("kind", "neutral", "options"),
    [
        ("brightness", 0.0, {}),
        ("contrast", 1.0, {"about": 0.25}),
        ("fog", 0.0, {}),
        ("haze", 0.0, {"seed": 3}),
        ("noise", 0.0, {}),
        ("blend", 0.0, {"overlay": {"item": 0}}),
        ("chord", 0.0, {"item": 2}),
    ],
)
def test_the_neutral_parameter_is_the_item_itself(kind, neutral, options):
    data = items()
    path = segment(Mutation(kind, neutral, 0.5, options), data[1], items=data)
    assert np.abs(path.start - data[1]).max() <= path.radius.max()
    assert np.abs(path.stop - data[1]).max() > 0.01


def test_a_chord_ends_exactly_at_the_other_item():
    data = items()
    path = segment(Mutation("chord", 0.0, 1.0, {"item": 2}), data[1], items=data)
    np.testing.assert_array_equal(path.start, data[1])
    np.testing.assert_array_equal(path.stop, data[2])


def test_veils_fill_the_domain_of_the_data():
    data = items((-1.0, 3.0))
    path = segment(Mutation("fog", 0.0, 1.0, {"seed": 1}), data[0], items=data)
    np.testing.assert_array_equal(path.stop[0], patterns.fog(1, H, W) * 4 - 1)


def test_a_colour_image_gets_one_grey_veil():
    data = Items(np.zeros((1, 2, 2, 3), np.uint8), (3, 2, 2), Preprocessing())
    path = segment(Mutation("haze", 0.0, 1.0), data[0], items=data)
    assert path.stop.shape == path.radius.shape == (3, 2, 2)
    np.testing.assert_array_equal(path.stop[0], path.stop[2])


@pytest.mark.parametrize("kind", ["fog", "haze"])
def test_features_have_no_veil(kind):
    data = Items(np.zeros((2, 6), np.float32), (6,), Preprocessing())
    with pytest.raises(InvalidSpec, match="needs images"):
        segment(Mutation(kind, 0.0, 1.0), data[0], items=data)


def test_features_can_be_brightened_and_noised():
    data = Items(np.zeros((2, 6), np.float32), (6,), Preprocessing())
    for kind in ("brightness", "noise", "contrast"):
        assert segment(Mutation(kind, 0.0, 1.0), data[0], items=data).stop.shape == (6,)


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        (Mutation("rotation", 0, 1), "no mutation 'rotation'"),
        (Mutation("brightness", 0, float("inf")), "leaves the numbers"),
        (Mutation("contrast", -1.7e308, 1.7e308, {"about": -30.0}), "leaves the numbers"),
        (Mutation("chord", 0, 1, {"item": 4}), "item 4 does not exist"),
    ],
)
def test_what_cannot_be_a_path_is_refused(request_, message):
    with pytest.raises(InvalidSpec, match=message):
        segment(request_, items()[0], items=items())


def test_every_affine_mutation_is_in_the_vocabulary():
    assert MUTATIONS.keys() < MUTATION_UNITS.keys()
