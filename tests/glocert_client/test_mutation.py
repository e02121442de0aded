import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocert_client.mutation import STARTS, UnreadableMutation, describe_mutation, parse_mutation


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("brightness=0.2", {"type": "brightness", "from": 0.0, "to": 0.2}),
        ("brightness=-0.2", {"type": "brightness", "from": 0.0, "to": -0.2}),
        ("contrast=1.5", {"type": "contrast", "from": 1.0, "to": 1.5}),
        ("contrast=0.5:1.5,about=0.4", {"type": "contrast", "from": 0.5, "to": 1.5, "about": 0.4}),
        ("fog=0.3,seed=7", {"type": "fog", "from": 0.0, "to": 0.3, "seed": 7}),
        ("blend=0.5,overlay=3", {"type": "blend", "from": 0.0, "to": 0.5, "overlay": {"item": 3}}),
        ("chord=12", {"type": "chord", "item": 12}),
        (" haze = 1 ", {"type": "haze", "from": 0.0, "to": 1.0}),
        ("rotation=-10:10", {"type": "rotation", "from": -10.0, "to": 10.0}),
        ("rotation=30", {"type": "rotation", "from": 0.0, "to": 30.0}),
        ("scaling=1.2", {"type": "scaling", "from": 1.0, "to": 1.2}),
        ("shear=0.2", {"type": "shear", "from": 0.0, "to": 0.2}),
        ("translation=2,-1.5", {"type": "translation", "x": 2.0, "y": -1.5}),
        ("translation=2", {"type": "translation", "x": 2.0, "y": 0.0}),
        ("blur=1.5", {"type": "blur", "sigma": 1.5}),
        (
            "rotation=-5:5 * fog=0.2,seed=3*translation=1,-2",
            {
                "type": "box",
                "mutations": [
                    {"type": "rotation", "from": -5.0, "to": 5.0},
                    {"type": "fog", "from": 0.0, "to": 0.2, "seed": 3},
                    {"type": "translation", "x": 1.0, "y": -2.0},
                ],
            },
        ),
        (
            "rotation=1e+1 + fog=0.2,seed=3+translation=1,0",
            {
                "type": "composite",
                "steps": [
                    {"type": "rotation", "from": 0.0, "to": 10.0},
                    {"type": "fog", "from": 0.0, "to": 0.2, "seed": 3},
                    {"type": "translation", "x": 1.0, "y": 0.0},
                ],
            },
        ),
    ],
)
def test_what_is_written_is_what_is_sent(text: str, body: dict[str, object]) -> None:
    assert parse_mutation(text) == body


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("brightness", "TYPE=TO"),
        ("=0.2", "TYPE=TO"),
        ("brightness=", "TYPE=TO"),
        ("brightness=much", "'much' is not a number"),
        ("brightness=0.1:", "'' is not a number"),
        ("chord=1.5", "'1.5' is not a whole number"),
        ("fog=0.3,seed=x", "'x' is not a whole number"),
        ("fog=0.3,sed=1", "none of the options"),
        ("turn=10", "write both ends"),
        ("translation=1,2,3", "translation=X,Y"),
        ("translation=a,2", "'a' is not a number"),
        ("rotation=10+blur", "TYPE=TO"),
        ("rotation=10*blur", "TYPE=TO"),
        ("rotation=10*", "is not a number"),
        ("rotation=10*blur=1+fog=1", "not by both"),
    ],
)
def test_what_cannot_be_read_says_what_was_expected(text: str, expected: str) -> None:
    with pytest.raises(UnreadableMutation, match=expected):
        parse_mutation(text)


@given(
    kind=st.sampled_from(sorted(STARTS)),
    start=st.integers(-400, 400),
    stop=st.integers(-400, 400),
    seed=st.none() | st.integers(0, 10**6),
)
def test_a_description_reads_back_as_the_same_mutation(
    kind: str, start: int, stop: int, seed: int | None
) -> None:
    body: dict[str, object] = {"type": kind, "from": start / 100, "to": stop / 100}
    if seed is not None:
        body["seed"] = seed
    assert parse_mutation(describe_mutation(body)) == body


def test_a_chord_reads_back_too() -> None:
    assert parse_mutation(describe_mutation({"type": "chord", "item": 4, "from": 0.0, "to": 1.0})) == {
        "type": "chord",
        "item": 4,
    }


@pytest.mark.parametrize(
    "text",
    [
        "translation=2,-1.5",
        "blur=0.5",
        "rotation=-45:45",
        "rotation=0:10+contrast=1:1.5,about=0.4+blur=1",
        "rotation=0:15*brightness=0:0.2",
        "blur=1*contrast=1:1.5,about=0.4*noise=0:0.1,seed=4",
    ],
)
def test_geometric_mutations_read_back_too(text: str) -> None:
    assert describe_mutation(parse_mutation(text)) == text
