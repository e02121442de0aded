"""Laws as they are written on a command line: ``truncated-normal=0:0.1``, ``points=0:3;0.2:1``."""

from __future__ import annotations

from typing import Any

MEMBERS = {"uniform": (), "truncated-normal": ("mean", "std"), "beta": ("a", "b"), "triangular": ("mode",)}
"""Type -> its numbers, in the order in which they are written."""


class UnreadableLaw(ValueError):
    """The text is no law; the message says what was expected."""


def parse_law(text: str) -> dict[str, Any]:
    """Return the ``law`` member of a job.

    Args:
        text: ``TYPE=NUMBER[:NUMBER]``, values in the unit of the mutation; ``points=VALUE:WEIGHT`` with more
            of them after semicolons.

    Raises:
        UnreadableLaw: the text is something else.
    """
    kind, _, rest = (part.strip() for part in text.partition("="))
    if kind == "points":
        return {"type": kind, "points": [_point(one, text) for one in rest.split(";")]}
    if kind not in MEMBERS:
        known = ", ".join([*MEMBERS, "points"])
        raise UnreadableLaw(f"{text!r}: {kind!r} is none of the laws {known}")
    names, numbers = MEMBERS[kind], rest.split(":") if rest else []
    if len(names) != len(numbers):
        raise UnreadableLaw(f"{text!r} is not {_shape(kind)}")
    return {"type": kind, **{name: _number(one, text) for name, one in zip(names, numbers, strict=True)}}


def _shape(kind: str) -> str:
    names = ":".join(name.upper() for name in MEMBERS[kind])
    return f"{kind}={names}" if names else kind


def _point(one: str, text: str) -> dict[str, float]:
    value, colon, weight = one.partition(":")
    return {"value": _number(value, text), "weight": _number(weight, text) if colon else 1.0}


def _number(one: str, text: str) -> float | int:
    try:
        return int(one) if one.strip().isdecimal() else float(one)
    except ValueError:
        raise UnreadableLaw(f"{text!r}: {one!r} is not a number") from None
