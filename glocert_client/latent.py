"""Mutations through a generator, as they are written on a command line.

``latent=dir_0193…`` goes along a direction of the service as far as the direction says; ``latent=3`` and
``latent=-1:3`` say how far, with ``direction=dir_0193…`` behind or the option ``--direction``. Behind commas:
``axis=-1`` (the last number of a code: the strength of a style), ``anchor=generated``, ``psnr=15``,
``steps=200``, ``seed=7``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

TYPE = "latent"
_DIRECTION = "dir_"
_INSIDE = {"psnr": ("gates", float), "steps": ("encoding", int), "seed": ("encoding", int)}
_OPTIONS = ("anchor", "axis", "direction", *_INSIDE)


def latent_members(extent: str, options: Iterable[str]) -> dict[str, Any]:
    """Return the members of a latent mutation.

    Args:
        extent: ``TO``, ``FROM:TO`` or the id of a direction.
        options: ``name=value`` each.

    Raises:
        ValueError: the text is something else; the message says what was expected.
    """
    body: dict[str, Any] = {"type": TYPE}
    if extent.startswith(_DIRECTION):
        body["direction_id"] = extent
    else:
        first, colon, last = extent.partition(":")
        body |= {"from": _number(first), "extent": _number(last)} if colon else {"extent": _number(first)}
    for option in options:
        name, equals, value = (part.strip() for part in option.partition("="))
        if not equals or name not in _OPTIONS:
            raise ValueError(f"{option!r} is none of the options {', '.join(_OPTIONS)}")
        if name in _INSIDE:
            member, kind = _INSIDE[name]
            body.setdefault(member, {})[name] = _converted(kind, value)
        elif name == "axis":
            body[name] = _converted(int, value)
        else:
            body["direction_id" if name == "direction" else name] = value
    return body


def describe_latent(members: Mapping[str, Any]) -> str:
    """Return a short text for tables and test names, which ``latent_members`` reads where it can be read."""
    start, stop, known = members.get("from", 0.0), members.get("extent"), members.get("direction_id")
    if stop is None:
        return f"{TYPE}={known}"
    told = f",direction={known}" if known else ""
    if members.get("axis") is not None:
        told = f",axis={members['axis']}"
    anchor = ",anchor=generated" if members.get("anchor") == "generated" else ""
    return f"{TYPE}={start:g}:{stop:g}{told}{anchor}"


def latent_parts(mutation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the latent mutations among one, to be filled in."""
    return [one for one in mutation.get("mutations") or [mutation] if one["type"] == TYPE]


def read_direction(text: str) -> dict[str, Any]:
    """Return the member that says a direction: an id, or the numbers of a JSON file.

    Raises:
        ValueError: neither.
    """
    if text.startswith(_DIRECTION):
        return {"direction_id": text}
    path = Path(text)
    if not path.is_file():
        raise ValueError(f"{text!r} is neither the id of a direction nor a JSON file of its numbers")
    try:
        numbers = [float(one) for one in json.loads(path.read_text())]
    except (ValueError, TypeError):
        raise ValueError(f"{text!r} does not hold a list of numbers") from None
    return {"direction": numbers}


def _number(text: str) -> float:
    value = _converted(float, text)
    if not math.isfinite(value):
        raise ValueError(f"{text!r} is not finite")
    return float(value)


def _converted(kind: type, text: str) -> Any:
    try:
        return kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number or the id of a direction"
        raise ValueError(f"{text!r} is not {wanted}") from None
