"""From the text fields of an upload form to a checked body."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from app.errors import InvalidRequest
from app.schemas import Body
from glocert.errors import Offence

Form = TypeVar("Form", bound=Body)


def read(form: type[Form], fields: dict[str, str]) -> Form:
    """Return the checked form; an empty field counts as absent.

    Raises:
        InvalidRequest: naming every field that is not valid.
    """
    try:
        return form.model_validate({name: value for name, value in fields.items() if value})
    except ValidationError as error:
        offences = [_offence(item["loc"], item["msg"]) for item in error.errors(include_url=False)]
        raise InvalidRequest("The form is not valid; see errors.", offences) from error


def _offence(path: tuple[str | int, ...], message: str) -> Offence:
    name = str(path[0]) if path else ""
    inside = "".join(f"/{step}" for step in path[1:])
    text = message.removeprefix("Value error, ")
    return Offence(name, f"{inside}: {text}." if inside else f"{text[:1].upper()}{text[1:]}.")
