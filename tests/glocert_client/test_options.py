from __future__ import annotations

import pytest
import typer

from glocert_client.options import read_law, read_property


@pytest.mark.parametrize(
    ("text", "band", "body"),
    [
        ("", None, None),
        ("label", None, {"type": "label"}),
        ("top-k=3", None, {"type": "top_k", "k": 3}),
        ("band=0.5", None, {"type": "band", "width": 0.5}),
        ("", 0.5, {"type": "band", "width": 0.5}),
    ],
)
def test_what_must_hold_is_read(text, band, body):
    assert read_property(text, band) == body


@pytest.mark.parametrize(
    ("text", "band", "expected"),
    [
        ("top-k=1.5", None, "'1.5' is no number for it"),
        ("top-k", None, "'' is no number for it"),
        ("label=1", None, "is not label"),
        ("cube=1", None, "is not label"),
        ("band=0", None, "greater than 0"),
        ("", 0.0, "greater than 0"),
        ("label", 0.5, "not both"),
    ],
)
def test_what_cannot_be_read_says_what_was_expected(text, band, expected):
    with pytest.raises(typer.BadParameter, match=expected):
        read_property(text, band)


def test_laws_are_optional():
    assert read_law("") is None
    assert read_law("beta=1:2") == {"type": "beta", "a": 1, "b": 2}
    with pytest.raises(typer.BadParameter, match="none of the laws"):
        read_law("cauchy")
