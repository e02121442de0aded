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
        ("rotation=10", "write both ends"),
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
