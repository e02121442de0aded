"""Mutations as they are written on a command line.

``brightness=0.2``, ``contrast=0.5:1.5,about=0.4``, ``rotation=-45:45``, ``translation=2,-1``, ``blur=1.5``;
``latent=dir_…`` through a generator, see ``glocert_client.latent``;
and steps one after the other, joined by plus signs: ``rotation=10+brightness=0.1``; and two or three at once,
every combination of their parameters, joined by asterisks: ``rotation=15*brightness=0.2``.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from glocert_client.latent import TYPE as LATENT
from glocert_client.latent import describe_latent, latent_members

STARTS: Mapping[str, float] = {
    "brightness": 0.0,
    "fog": 0.0,
    "haze": 0.0,
    "blend": 0.0,
    "noise": 0.0,
    "contrast": 1.0,
    "rotation": 0.0,
    "scaling": 1.0,
    "shear": 0.0,
}
"""Where a path begins when only its end is written: at the unchanged input."""

_AND = re.compile(r"\+(?=\s*[a-z])")
"""A plus sign before a word; those in 1e+5 are followed by digits."""
_TIMES = re.compile(r"\*(?=\s*[a-z])")
OPTIONS = {"about": float, "seed": int, "overlay": int}


class UnreadableMutation(ValueError):
    """The text does not say what to do; the message says what was expected."""


def parse_mutation(text: str) -> dict[str, Any]:
    """Return the ``mutation`` member of a job.

    Args:
        text: ``TYPE=TO`` or ``TYPE=FROM:TO``, then options as ``,name=value``; ``chord=ITEM`` for the
            straight line to another item of the data set; ``translation=X,Y``; ``blur=SIGMA``; several of
            these joined by ``+`` for one after the other, or by ``*`` for all at once.

    Raises:
        UnreadableMutation: the text is something else.
    """
    at_once = _TIMES.split(text)
    if len(at_once) > 1:
        if _AND.search(text):
            raise UnreadableMutation(f"{text!r}: join mutations by + (steps) or by * (at once), not by both")
        return {"type": "box", "mutations": [_step(part) for part in at_once]}
    steps = [_step(part) for part in _AND.split(text)]
    return steps[0] if len(steps) == 1 else {"type": "composite", "steps": steps}


def _step(text: str) -> dict[str, Any]:
    """Return one mutation."""
    head, *options = text.split(",")
    kind, equals, extent = (part.strip() for part in head.partition("="))
    if not kind or not equals or not extent:
        raise UnreadableMutation(f"{text!r} is not TYPE=TO or TYPE=FROM:TO, such as brightness=0.2")
    if kind == "translation":
        return {"type": kind, **_shift(extent, options, text)}
    if kind == LATENT:
        try:
            return latent_members(extent, options)
        except ValueError as error:
            raise UnreadableMutation(f"{text!r}: {error}") from None
    if kind == "chord":
        body: dict[str, Any] = {"type": kind, "item": _whole(extent, text)}
    elif kind == "blur":
        body = {"type": kind, "sigma": _number(extent, text)}
    else:
        body = _extent(kind, extent, text)
    for option in options:
        body |= _option(option, text)
    return body


def describe_mutation(mutation: Mapping[str, Any]) -> str:
    """Return the text that ``parse_mutation`` reads, for tables and test names."""
    members = dict(mutation)
    kind = members.pop("type")
    if kind == "composite":
        return "+".join(map(describe_mutation, members["steps"]))
    if kind == "box":
        return "*".join(map(describe_mutation, members["mutations"]))
    if kind == LATENT:
        return describe_latent(members)
    if kind == "translation":
        return f"{kind}={members.get('x', 0.0):g},{members.get('y', 0.0):g}"
    if kind == "blur":
        return f"{kind}={members['sigma']:g}"
    if kind == "chord":
        members = {name: value for name, value in members.items() if name not in {"from", "to"}}
        head = f"{kind}={members.pop('item')}"
    else:
        head = f"{kind}={members.pop('from', 0.0):g}:{members.pop('to'):g}"
    rest = (f",{name}={_short(value)}" for name, value in sorted(members.items()) if value is not None)
    return head + "".join(rest)


def _shift(right: str, rest: list[str], text: str) -> dict[str, float]:
    """Read ``X,Y`` of a translation; Y is 0 where it is not written."""
    if len(rest) > 1:
        raise UnreadableMutation(f"{text!r}: a translation is translation=X,Y")
    return {"x": _number(right, text), "y": _number(rest[0], text) if rest else 0.0}


def _extent(kind: str, extent: str, text: str) -> dict[str, Any]:
    first, colon, last = extent.partition(":")
    if colon:
        return {"type": kind, "from": _number(first, text), "to": _number(last, text)}
    if kind not in STARTS:
        raise UnreadableMutation(f"{text!r}: write both ends of {kind!r}, as {kind}=FROM:TO")
    return {"type": kind, "from": STARTS[kind], "to": _number(first, text)}


def _option(option: str, text: str) -> dict[str, Any]:
    name, equals, value = (part.strip() for part in option.partition("="))
    if not equals or name not in OPTIONS:
        raise UnreadableMutation(f"{text!r}: {option!r} is none of the options {', '.join(sorted(OPTIONS))}")
    if name == "overlay":
        return {"overlay": {"item": _whole(value, text)}}
    return {name: _whole(value, text) if OPTIONS[name] is int else _number(value, text)}


def _number(value: str, text: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise UnreadableMutation(f"{text!r}: {value!r} is not a number") from None


def _whole(value: str, text: str) -> int:
    try:
        return int(value)
    except ValueError:
        raise UnreadableMutation(f"{text!r}: {value!r} is not a whole number") from None


def _short(value: object) -> str:
    if isinstance(value, Mapping) and "item" in value:
        return str(value["item"])
    if isinstance(value, Mapping):
        return ";".join(f"{key}:{str(entry)[:12]}" for key, entry in value.items())
    return f"{value:g}" if isinstance(value, float) else str(value)
