"""Body and summary of jobs of the kind ``direction-mining``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, FiniteFloat, JsonValue

from app.jobs.gloro import JobBudget, MadeFile
from app.jobs.mutations import Index, OneBody, png_text
from app.jobs.parts import Identity, Inputs, Priority, Tags
from app.schemas import Answer, Body, Line

KIND = "direction-mining"
STAGES = 4
"""that progress counts: codes, directions, measures, pictures"""
EXAMPLE: dict[str, JsonValue] = {
    "kind": KIND,
    "generator_id": "mdl_019361f4a1c20123456789abcdef0123",
    "mode": "local",
    "mask": {"type": "rectangle", "top": 8, "left": 6, "height": 6, "width": 16},
    "count": 5,
}
Mode = Literal["global", "local", "pair", "derivative", "attribute"]
Method = Literal["eigen", "rpca", "subspace", "ratio", "means", "separator"]
METHODS: Mapping[str, tuple[str, ...]] = {
    "global": ("eigen", "rpca"),
    "local": ("subspace", "ratio"),
    "attribute": ("means", "separator"),
}
"""Mode -> its methods, the default first; the others have one way only."""
Place = Annotated[int, Field(ge=-(2**15), le=2**15)]
Length = Annotated[int, Field(ge=1, le=2**15)]
Vector = Annotated[list[FiniteFloat], Field(min_length=1, max_length=2**14)]
MASK_BYTES = 2**16
"""of a picture: every direction of a mining keeps its mask"""
REFINING = 200
"""steps by which codes of inputs are refined where no encoder proposes them"""


class Rectangle(Body):
    """Rows and columns from the upper left corner."""

    type: Literal["rectangle"]
    top: Place
    left: Place
    height: Length
    width: Length
    of: Annotated[
        list[Length] | None,
        Field(
            min_length=2,
            max_length=2,
            description="Height and width of the images that the numbers are about; by default the "
            "generator's.",
        ),
    ] = None


class MaskPicture(Body):
    """A picture that is bright inside; it is scaled to the images."""

    type: Literal["picture"]
    png: Annotated[
        str,
        Field(max_length=MASK_BYTES * 4 // 3, description="Base64 of a PNG file."),
        AfterValidator(png_text),
    ]


MaskBody = Annotated[Rectangle | MaskPicture, Field(discriminator="type", title="Mask")]


class GroupsBody(Body):
    """Inputs that have an attribute, and inputs that do not."""

    by: Annotated[
        Literal["label", "item"],
        Field(description="Whether the numbers are labels of the data set or positions in it."),
    ] = "label"
    positive: Annotated[list[Index], Field(min_length=1, max_length=10_000)]
    negative: Annotated[
        list[Index] | None,
        Field(min_length=1, max_length=10_000, description="All others that are looked at by default."),
    ] = None


class DirectionMining(Body):
    """Find directions of a generator's latent space: mutations without a formula."""

    model_config = ConfigDict(json_schema_extra={"examples": [EXAMPLE]})

    kind: Literal["direction-mining"]
    generator_id: Identity
    dataset_id: Annotated[
        Identity | None, Field(description="Inputs whose codes are looked at; by default codes are drawn.")
    ] = None
    encoder_id: Annotated[
        Identity | None, Field(description="Proposes codes of inputs; by default they are looked for.")
    ] = None
    inputs: Inputs = Field(default_factory=Inputs)
    mode: Annotated[
        Mode,
        Field(
            description="`global`: what moves the image most. `local`: what moves the mask and little else. "
            "`pair`: from inputs to the same inputs mutated. `derivative`: what a mutation with a formula "
            "does. `attribute`: from one group of inputs to another."
        ),
    ]
    mask: Annotated[
        MaskBody | None, Field(description="Where the mutation is meant to act; `local` needs one.")
    ] = None
    mutation: Annotated[OneBody | None, Field(description="Of `pair` and `derivative`.")] = None
    groups: Annotated[GroupsBody | None, Field(description="Of `attribute`.")] = None
    method: Annotated[
        Method | None,
        Field(
            description="`eigen` or `rpca` of `global`, `subspace` or `ratio` of `local`, `means` or "
            "`separator` of `attribute`; the first by default."
        ),
    ] = None
    sparsity: Annotated[
        float | None, Field(gt=0, le=1e6, description="λ of `rpca`; 1/√d for d latent dimensions by default.")
    ] = None
    count: Annotated[
        int, Field(ge=1, description="Most directions of `global` and `local`; the settings cap it.")
    ] = 5
    samples: Annotated[
        int, Field(ge=1, description="Codes at which slopes are taken; the settings cap it.")
    ] = 32
    neighbours: Annotated[
        int, Field(ge=1, le=64, description="Codes about each that slopes are averaged over, with itself.")
    ] = 4
    radius: Annotated[float, Field(gt=0, le=1e3, description="Within which they lie, in latent units.")] = 0.1
    extent: Annotated[
        float | None,
        Field(
            gt=0,
            le=1e6,
            description="How far the directions go, in latent units; what follows from the mode by default.",
        ),
    ] = None
    name: Annotated[Line | None, Field(description="Of the direction of a mode that finds one.")] = None
    orthogonal_to: Annotated[
        list[Identity | Vector],
        Field(max_length=64, description="Ids of directions, or vectors, that nothing is to be found of."),
    ] = []  # noqa: RUF012
    steps: Annotated[
        int | None,
        Field(
            ge=0,
            le=2_000,
            description=f"By which codes of inputs are refined; none with an encoder, {REFINING} without.",
        ),
    ] = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    budget: JobBudget = Field(default_factory=JobBudget)
    tags: Tags = Field(default_factory=dict)
    priority: Priority = 3

    def stored(self, seconds: float, vectors: list[list[float]]) -> dict[str, Any]:
        """Return the request with every default filled in, and vectors in the place of ids."""
        usual = METHODS.get(self.mode, (None,))[0]
        steps = 0 if self.encoder_id else REFINING
        return self.model_dump(mode="json", by_alias=True) | {
            "mutation": None if self.mutation is None else self.mutation.stored(),
            "method": self.method or usual,
            "steps": steps if self.steps is None else self.steps,
            "orthogonal_to": vectors,
            "budget": {"seconds": seconds},
        }


class FoundDirection(Answer):
    id: str
    name: str | None
    """of the mutation that it makes, where that is known"""
    energy: float
    leakage: float | None
    """null without a mask"""
    extent: float
    """in latent units"""
    preview: str | None
    """address of a picture"""


class MiningSummary(Answer):
    model_config = ConfigDict(extra="allow")

    directions: list[FoundDirection]
    """the most energy first"""
    mode: str
    codes: dict[str, Any]
    """where they come from, how many there were, and how well they stand for inputs"""
    measures: dict[str, Any]
    """of all directions together"""
    artifacts: list[MadeFile]
