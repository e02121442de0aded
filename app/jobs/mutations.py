"""Mutations as callers write them: one class per type."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, FiniteFloat, field_validator

from app.schemas import Body
from glocert.spec import NEUTRAL

PNG_BYTES = 2**20
SIGNATURE = b"\x89PNG\r\n\x1a\n"
Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Degrees = Annotated[float, Field(ge=-360, le=360, allow_inf_nan=False)]
Factor = Annotated[float, Field(ge=0.1, le=10, allow_inf_nan=False)]
Slant = Annotated[float, Field(ge=-4, le=4, allow_inf_nan=False)]
Pixels = Annotated[float, Field(ge=-1024, le=1024, allow_inf_nan=False)]
MOST_SIGMA, MOST_STEPS = 16, 8
_MOTIONS = frozenset({"rotation", "scaling", "shear", "translation"})
_RESAMPLING = _MOTIONS | {"blur"}
Seed = Annotated[int, Field(ge=0, lt=2**32)]
Index = Annotated[int, Field(ge=0, lt=2**31)]


def png_text(text: str) -> str:
    """Refuse what is not a PNG file in base64."""
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
        AfterValidator(png_text),
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


class Rotation(_Path):
    """Turned counter-clockwise about the centre, bilinear, zero outside."""

    type: Literal["rotation"]
    start: Annotated[Degrees, Field(alias="from")] = 0.0
    stop: Annotated[Degrees, Field(alias="to")]


class Scaling(_Path):
    """Stretched about the centre, bilinear, zero outside."""

    type: Literal["scaling"]
    start: Annotated[Factor, Field(alias="from")] = 1.0
    stop: Annotated[Factor, Field(alias="to")]


class Shear(_Path):
    """Slanted along its rows, bilinear, zero outside: the upper half leans to the right."""

    type: Literal["shear"]
    start: Annotated[Slant, Field(alias="from")] = 0.0
    stop: Annotated[Slant, Field(alias="to")]


class Translation(_Path):
    """Moved along a straight line, bilinear, zero outside."""

    type: Literal["translation"]
    x: Annotated[Pixels, Field(description="To the right, in pixels.")] = 0.0
    y: Annotated[Pixels, Field(description="Downwards, in pixels.")] = 0.0


class Blur(_Path):
    """Gaussian blur, from none."""

    type: Literal["blur"]
    sigma: Annotated[float, Field(gt=0, le=MOST_SIGMA, allow_inf_nan=False, description="In pixels.")]


OneBody = Annotated[
    Brightness | Contrast | Veil | Blend | Noise | Chord | Rotation | Scaling | Shear | Translation | Blur,
    Field(discriminator="type", title="Step"),
]


class Composite(_Path):
    """Mutations one after the other, each on the last image of the one before; clamped in between."""

    type: Literal["composite"]
    steps: Annotated[
        list[OneBody],
        Field(
            min_length=1,
            max_length=MOST_STEPS,
            description="Every step but the first one starts at the unchanged image.",
        ),
    ]

    @field_validator("steps", mode="before")
    @classmethod
    def _without_generators(cls, steps: Any) -> Any:
        """Say what to send instead of a latent step, where the type alone would be refused."""
        if isinstance(steps, list) and any(
            isinstance(one, dict) and one.get("type") == "latent" for one in steps
        ):
            raise ValueError(
                "a latent mutation is no step of others: send it alone, or several as a box, which has every "
                "combination of them"
            )
        return steps

    @property
    def breaks(self) -> list[int]:
        """Positions of the steps that do not start where the one before ends."""
        return [
            at
            for at, step in enumerate(self.steps)
            if at and getattr(step, "start", 0.0) != NEUTRAL.get(step.type, 0.0)
        ]


class Box(_Path):
    """Two or three mutations at once, each with a parameter of its own: all their combinations."""

    type: Literal["box"]
    mutations: Annotated[
        list[OneBody],
        Field(
            min_length=2,
            max_length=3,
            description="Rotation, scaling, shear and translation act first, as one motion, or one blur "
            "does; the others follow in their order. Nothing is clamped in between.",
        ),
    ]

    @property
    def misfits(self) -> list[int]:
        """Positions of the mutations that cannot be had at once with those before them."""
        kinds = [one.type for one in self.mutations]
        return [
            at
            for at, kind in enumerate(kinds)
            if (kind == "blur" and _RESAMPLING & {*kinds[:at]}) or (kind in _MOTIONS and "blur" in kinds[:at])
        ]


OF_IMAGES = (Veil, Rotation, Scaling, Shear, Translation, Blur)
"""Mutations that need rows and columns."""
