"""From the locations of validation errors to pointers into the request that was sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi.exceptions import RequestValidationError

NAMED = {"query": "parameter", "header": "header", "cookie": "cookie"}
UNTOLD = "union_tag_not_found"
MISSING = frozenset({"missing", UNTOLD})


def offences_of(error: RequestValidationError) -> dict[str, Any]:
    """Return ``errors``: what is wrong, each with ``pointer``, ``parameter`` or ``header``."""
    return {"errors": [_offence(item, error.body) for item in error.errors()]}


def pointer(path: Sequence[str | int], *, missing: bool, body: Any) -> str:
    """Return the JSON pointer of a pydantic location; tags of unions, which are not in the body, fall out.

    Args:
        path: location below the body.
        missing: whether the last step names a field that is not there.
        body: the document that was sent.
    """
    steps, here = [], body
    for position, step in enumerate(path):
        last = position == len(path) - 1
        if _inside(here, step):
            here = here[step]
        elif not (last and missing):
            continue
        steps.append(_encodable(str(step)).replace("~", "~0").replace("/", "~1"))
    return "".join(f"/{step}" for step in steps)


def _offence(item: dict[str, Any], body: Any) -> dict[str, str]:
    place, path, detail = item["loc"][0], item["loc"][1:], _sentence(item["msg"])
    if item["type"] == UNTOLD and not path:
        path, detail = (str(item["ctx"]["discriminator"]).strip("'"),), "Field required."
    if place in NAMED:
        return {NAMED[place]: str(path[0]) if path else "", "detail": detail}
    return {"pointer": pointer(path, missing=item["type"] in MISSING, body=body), "detail": detail}


def _encodable(text: str) -> str:
    """Replace lone surrogates: JSON can name them, UTF-8 cannot."""
    return text.encode("utf-8", "replace").decode()


def _inside(here: Any, step: str | int) -> bool:
    if isinstance(here, dict):
        return step in here
    return isinstance(here, list) and isinstance(step, int) and 0 <= step < len(here)


def _sentence(message: str) -> str:
    text = _encodable(message.removeprefix("Value error, "))
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")
