from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocert.spec import MUTATION_UNITS, Analysis, Method, Mutation, Preprocessing, SegmentSpec
from glocert.spec_law import BetaLaw, UniformLaw

values = st.floats(-1e6, 1e6)
shares = st.floats(0, 1)


@given(start=values, stop=values, t=shares)
def test_values_are_as_close_as_a_float_can_be(start, stop, t):
    mutation = Mutation("brightness", start, stop)
    exact = Fraction(start) + Fraction(t) * (Fraction(stop) - Fraction(start))
    assert mutation.value_at(t) == float(exact)
    assert (mutation.value_at(0.0), mutation.value_at(1.0)) == (start, stop)


@given(start=values, stop=values, t=shares)
def test_certified_values_never_lie_beyond_what_is_certified(start, stop, t):
    mutation = Mutation("contrast", start, stop)
    exact = Fraction(start) + Fraction(t) * (Fraction(stop) - Fraction(start))
    reached = mutation.value_within(t)
    assert abs(Fraction(reached) - Fraction(start)) <= abs(exact - Fraction(start))
    assert abs(reached - mutation.value_at(t)) <= 1e-9
    assert mutation.value_within(1.0) == stop


@given(
    kind=st.sampled_from(sorted(MUTATION_UNITS.keys() - {"translation", "blur", "composite", "box"})),
    start=values,
    stop=values,
    options=st.dictionaries(st.sampled_from(["seed", "item", "about"]), st.integers(0, 9)),
    analysis=st.sampled_from(Analysis),
    margin=st.floats(0, 10),
    seconds=st.floats(0.1, 1e4),
    partition=st.booleans(),
    law=st.sampled_from([UniformLaw(), BetaLaw(2, 3)]),
    bounds=st.tuples(st.sampled_from(Method), st.integers(1, 100)),
)
def test_a_request_survives_json(
    kind, start, stop, options, analysis, margin, seconds, partition, law, bounds
):
    spec = SegmentSpec(
        Mutation(kind, start, stop, options),
        analysis,
        margin=margin,
        seconds_per_input=seconds,
        partition=partition,
        law=law,
        method=bounds[0],
        parts=bounds[1],
    )
    assert SegmentSpec.from_json(spec.to_json()) == spec


BOX = {
    "type": "box",
    "mutations": [
        {"type": "rotation", "from": -15.0, "to": 15.0},
        {"type": "blur", "sigma": 1.5},
        {"type": "fog", "from": 0.0, "to": 0.3, "seed": 3},
    ],
}


def test_a_box_survives_json_and_has_a_parameter_for_each_of_its_mutations():
    box = Mutation.from_json(BOX)
    assert box == Mutation("box", 0.0, 1.0, {"mutations": BOX["mutations"]})
    assert box.to_json() == BOX
    assert SegmentSpec.from_json(SegmentSpec(box).to_json()) == SegmentSpec(box)
    assert (box.unit, box.value_at(0.25), box.value_within(0.25)) == ("share", 0.25, 0.25)
    found = [one.to_json() for one in box.parameters_at((0.0, 1.0, 0.5))]
    assert found == [
        {"type": "rotation", "t": 0.0, "value": -15.0, "unit": "degrees"},
        {"type": "blur", "t": 1.0, "value": 1.5, "unit": "pixels"},
        {"type": "fog", "t": 0.5, "value": 0.15, "unit": "density"},
    ]


@given(t=shares)
def test_no_parameter_of_a_proven_corner_lies_beyond_it(t):
    for one, found in zip(BOX["mutations"], Mutation.from_json(BOX).parameters_within(t), strict=True):
        start, stop = Fraction(one.get("from", 0.0)), Fraction(one.get("to", one.get("sigma")))
        assert start <= Fraction(found.value) <= start + Fraction(t) * (stop - start)


def test_other_mutations_have_no_parameters_of_their_own():
    assert Mutation("fog", 0.0, 1.0).parameters_within(0.5) == ()


@given(
    scale=st.booleans(),
    mean=st.lists(values, max_size=3).map(tuple),
    std=st.lists(values, max_size=3).map(tuple),
    layout=st.sampled_from(["NCHW", "NHWC"]),
    lower=values,
    upper=values,
)
def test_preprocessing_survives_json(scale, mean, std, layout, lower, upper):
    preprocessing = Preprocessing(scale, mean, std, layout, lower, upper)
    assert Preprocessing.from_json(preprocessing.to_json()) == preprocessing


def test_absent_members_take_their_defaults():
    assert Preprocessing.from_json({}) == Preprocessing()
    body = {"mutation": {"type": "fog", "from": 0, "to": 1, "seed": 3}}
    assert SegmentSpec.from_json(body) == SegmentSpec(Mutation("fog", 0.0, 1.0, {"seed": 3}))


@pytest.mark.parametrize(
    ("body", "unit", "stop"),
    [
        ({"type": "translation", "x": 3.0, "y": -4.0}, "pixels", 5.0),
        ({"type": "blur", "sigma": 1.5}, "pixels", 1.5),
        ({"type": "composite", "steps": [{"type": "blur", "sigma": 1.0}] * 3}, "steps", 3.0),
    ],
)
def test_mutations_without_ends_of_their_own(body, unit, stop):
    mutation = Mutation.from_json(body)
    assert (mutation.unit, mutation.start, mutation.stop) == (unit, 0.0, stop)
    assert mutation.to_json() == body
    assert mutation.value_at(0.5) == stop / 2


def test_the_steps_of_a_composite():
    steps = [{"type": "rotation", "from": 0.0, "to": 5.0}, {"type": "blur", "sigma": 1.0}]
    assert [step.type for step in Mutation.from_json({"type": "composite", "steps": steps}).steps] == [
        "rotation",
        "blur",
    ]


@given(x=st.floats(-1024, 1024), y=st.floats(-1024, 1024))
def test_the_distance_of_a_translation_is_not_exaggerated(x, y):
    stop = Mutation.from_json({"type": "translation", "x": x, "y": y}).stop
    exact = Fraction(x) ** 2 + Fraction(y) ** 2
    assert Fraction(stop) ** 2 <= exact
    assert Fraction(stop) ** 2 >= exact * (1 - Fraction(1, 2**50)) - Fraction(1, 2**1070)
