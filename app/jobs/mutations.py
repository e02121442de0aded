"""Mutations as callers write them: one class per type."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, FiniteFloat

from app.schemas import Body

PNG_BYTES = 2**20
SIGNATURE = b"\x89PNG\r\n\x1a\n"
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Index = Annotated[int, Field(ge=0, lt=2**31)]


def _png(text: str) -> str:
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("it is not base64") from error
    if not data.startswith(SIGNATURE) or len(data) < 33:
        raise ValueError("it is not a PNG file")
    return text


class _Path(Body):
    """A parameter that runs from one value to another."""

    def stored(self) -> dict[str, Any]:
        """Return the form that the engine reads, defaults filled in."""
        return self.model_dump(by_alias=True, exclude_none=True)


class Brightness(_Path):
    """x + b, clamped."""

    type: Literal["brightness"]
    start: Annotated[FiniteFloat, Field(alias="from")] = 0.0
    stop: Annotated[FiniteFloat, Field(alias="to")]


class Contrast(_Path):
    """about + a (x - about), clamped."""

    type: Literal["contrast"]
    start: Annotated[FiniteFloat, Field(alias="from")] = 1.0
    stop: Annotated[FiniteFloat, Field(alias="to")]
    about: FiniteFloat = 0.5


class Veil(_Path):
    """Blend towards a generated veil."""

    type: Literal["fog", "haze"]
    start: Annotated[Share, Field(alias="from")] = 0.0
    stop: Annotated[Share, Field(alias="to")]
    seed: Seed = 0


class OverlayItem(Body):
    item: Annotated[Index, Field(description="Index in the data set.")]


class OverlayLevel(Body):
    level: Annotated[FiniteFloat, Field(description="One value for every pixel.")]


class OverlayPng(Body):
    png: Annotated[
        str,
        Field(max_length=PNG_BYTES * 4 // 3, description="Base64 of a PNG file of the items' size."),
        AfterValidator(_png),
    ]


class Blend(_Path):
    """(1 - t) x + t overlay."""

    type: Literal["blend"]
    start: Annotated[Share, Field(alias="from")] = 0.0
    stop: Annotated[Share, Field(alias="to")]
    overlay: OverlayItem | OverlayLevel | OverlayPng


class Noise(_Path):
    """x + t times a fixed pattern, clamped."""

    type: Literal["noise"]
    start: Annotated[FiniteFloat, Field(alias="from")] = 0.0
    stop: Annotated[FiniteFloat, Field(alias="to")]
    seed: Seed = 0


class Chord(_Path):
    """The straight line to another input of the data set."""

    type: Literal["chord"]
    start: Annotated[Share, Field(alias="from")] = 0.0
    stop: Annotated[Share, Field(alias="to")] = 1.0
    item: Annotated[Index, Field(description="Index of the far end.")]


MutationBody = Annotated[
    Brightness | Contrast | Veil | Blend | Noise | Chord, Field(discriminator="type", title="Mutation")
]
