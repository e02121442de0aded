from __future__ import annotations

import pytest

from glocert_client.law import UnreadableLaw, parse_law


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("uniform", {"type": "uniform"}),
        ("truncated-normal=0:0.1", {"type": "truncated-normal", "mean": 0, "std": 0.1}),
        ("truncated-normal=-0.5:1e-3", {"type": "truncated-normal", "mean": -0.5, "std": 0.001}),
        ("beta=2:5", {"type": "beta", "a": 2, "b": 5}),
        ("triangular = 0.1", {"type": "triangular", "mode": 0.1}),
        (
            "points=0:3;0.2",
            {"type": "points", "points": [{"value": 0, "weight": 3}, {"value": 0.2, "weight": 1.0}]},
        ),
    ],
)
def test_what_is_written_is_what_is_sent(text, body):
    assert parse_law(text) == body


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("cauchy=1", "none of the laws"),
        ("beta=2", "beta=A:B"),
        ("uniform=1", "is not uniform"),
        ("triangular=high", "'high' is not a number"),
        ("points=", "'' is not a number"),
        ("points=0:1;", "'' is not a number"),
    ],
)
def test_what_cannot_be_read_says_what_was_expected(text, expected):
    with pytest.raises(UnreadableLaw, match=expected):
        parse_law(text)
