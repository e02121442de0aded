"""Mutations through a generator as callers write them, and everything that can be asked about a path."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, FiniteFloat

from app.jobs import mutations
from app.jobs.mining import MaskBody, Vector
from app.jobs.mutations import (
    Blend,
    Blur,
    Brightness,
    Chord,
    Composite,
    Contrast,
    Noise,
    Rotation,
    Scaling,
    Seed,
    Shear,
    Translation,
    Veil,
)
from app.jobs.parts import Identity
from app.schemas import Body, Line

Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Portion = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class LatentScale(Body):
    """Units of the parameter, as users know it."""

    unit: Line
    per_latent: Annotated[FiniteFloat, Field(description="How many of it one latent unit is; not 0.")]


class LatentGates(Body):
    """When a path is worth certifying, and when it is worth a warning in its row."""

    psnr: Annotated[
        FiniteFloat,
        Field(description="Inputs that the generator makes with fewer decibels are `skipped`."),
    ] = 20.0
    keep_label: Annotated[
        bool,
        Field(description="Whether inputs are `skipped` unless the model says the same of `G(z)`."),
    ] = True
    jump_index: Annotated[
        FiniteFloat, Field(ge=1, description="Largest over mean speed of the image, above which rows warn.")
    ] = 10.0
    stall: Annotated[
        Portion, Field(description="Share of the path without motion, above which rows warn.")
    ] = 0.2
    leakage: Annotated[
        Portion, Field(description="Share of the change outside the mask, above which rows warn.")
    ] = 0.1


class LatentEncoding(Body):
    """How hard the code of an input is looked for."""

    steps: Annotated[int, Field(ge=0, le=2_000, description="Of refinement; 0 takes the first code.")] = 500
    restarts: Annotated[int, Field(ge=1, le=16)] = 4
    samples: Annotated[
        int, Field(ge=1, le=4_096, description="Codes to begin with, where no encoder proposes one.")
    ] = 256
    rate: Annotated[float, Field(gt=0, le=10, allow_inf_nan=False)] = 0.05
    prior_weight: Weight = 1e-3
    edges: Annotated[Weight, Field(description="Weight of the differences of neighbouring pixels.")] = 0.1
    seed: Seed = 0


class Latent(Body):
    """Along a direction of a generator's latent space: G(z + s v), z the code of the input.

    Give a direction by its id, and everything else has a default; or as a vector or an axis, with
    `generator_id` and `extent`.
    """

    type: Literal["latent"]
    generator_id: Annotated[
        Identity | None, Field(description="A model of the role `generator`; by default the direction's.")
    ] = None
    encoder_id: Annotated[
        Identity | None, Field(description="Proposes the codes of inputs; by default they are looked for.")
    ] = None
    direction_id: Identity | None = None
    direction: Annotated[
        Vector | None,
        Field(description="v, as long as a code; it is brought to length one. Requests show it filled in."),
    ] = None
    axis: Annotated[
        int | None,
        Field(
            ge=-(2**14),
            lt=2**14,
            description="v as the unit vector of one number of a code, counted from 0, or from the end "
            "as -1: the strength of a style.",
        ),
    ] = None
    start: Annotated[FiniteFloat, Field(alias="from", description="Of s, in latent units.")] = 0.0
    extent: Annotated[
        FiniteFloat | None,
        Field(description="Where s ends, in latent units; by default how far the direction goes."),
    ] = None
    anchor: Annotated[
        Literal["residual", "generated"],
        Field(
            description="`residual`: what the generator misses of the input is added to every image, so that "
            "the path starts at the input itself. `generated`: it starts at what the generator makes."
        ),
    ] = "residual"
    prior: Annotated[
        Literal["normal", "uniform"] | None,
        Field(description="Of the codes; by default what the generator's card says, else `normal`."),
    ] = None
    spreads: Annotated[
        Vector | None,
        Field(description="Standard deviations of normal codes; by default what the card says, else 1."),
    ] = None
    scale: Annotated[
        LatentScale | None, Field(description="Units that rows show; by default the direction's.")
    ] = None
    mask: Annotated[
        MaskBody | None, Field(description="Where the mutation is meant to act; by default the direction's.")
    ] = None
    gates: LatentGates = Field(default_factory=LatentGates)
    encoding: LatentEncoding = Field(default_factory=LatentEncoding)

    def stored(self) -> dict[str, Any]:
        """Return the form that the engine reads, defaults filled in."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


OneOrLatent = Annotated[
    Brightness | Contrast | Veil | Blend | Noise | Chord | Rotation | Scaling | Shear | Translation | Blur
    | Latent,
    Field(discriminator="type", title="One"),
]  # fmt: skip


class Box(mutations.Box):
    """Two or three mutations at once, each with a parameter of its own: all their combinations."""

    mutations: Annotated[  # type: ignore[assignment]
        list[OneOrLatent],
        Field(
            min_length=2,
            max_length=3,
            description="Rotation, scaling, shear and translation act first, as one motion, or one blur "
            "does; the others follow in their order. Nothing is clamped in between. Latent mutations go with "
            "such of the same generator only.",
        ),
    ]


MutationBody = Annotated[
    Brightness
    | Contrast
    | Veil
    | Blend
    | Noise
    | Chord
    | Rotation
    | Scaling
    | Shear
    | Translation
    | Blur
    | Latent
    | Composite
    | Box,
    Field(discriminator="type", title="Mutation"),
]


def latents(mutation: Body | None) -> list[tuple[str, Latent]]:
    """Return the latent mutations among one, with where they are."""
    if isinstance(mutation, Latent):
        return [("/mutation", mutation)]
    if not isinstance(mutation, Box):
        return []
    where = "/mutation/mutations"
    return [(f"{where}/{at}", one) for at, one in enumerate(mutation.mutations) if isinstance(one, Latent)]
