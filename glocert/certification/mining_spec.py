"""What a job ``direction-mining`` is asked for, read from its stored body."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glocert.spec import Mutation

MODES = ("global", "local", "pair", "derivative", "attribute")


@dataclass(frozen=True, slots=True)
class Groups:
    """Inputs that have an attribute, and inputs that do not.

    Attributes:
        by: ``label``: the numbers are labels of the data set; ``item``: they are positions in it.
        positive: those that have it.
        negative: those that do not; ``None`` for all others that are looked at.
    """

    by: str
    positive: tuple[int, ...]
    negative: tuple[int, ...] | None = None

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Groups:
        """Read the stored form."""
        negative = data.get("negative")
        return cls(
            str(data["by"]),
            tuple(map(int, data["positive"])),
            None if negative is None else tuple(map(int, negative)),
        )


@dataclass(frozen=True, slots=True)
class MiningSpec:
    """A request, with every default filled in.

    Attributes:
        mode: one of ``MODES``.
        mask: see ``glocert.generators.masks``; of ``local``, or what another direction is confined to.
        mutation: of ``pair`` and ``derivative``.
        groups: of ``attribute``.
        method: of the mode; see there.
        count: most directions of ``global`` and ``local``.
        sparsity: lambda of ``rpca``.
        neighbours: codes about each that slopes are averaged over, itself included.
        radius: within which they lie, in latent units.
        extent: in latent units; ``None`` for what follows from the mode.
        name: of the direction that is found; ``None`` for what it turns out to be.
        orthogonal_to: vectors that the directions must not contain.
        steps: of refining codes of inputs.
        seed: of all that is drawn.
    """

    mode: str
    mask: Mapping[str, Any] | None = None
    mutation: Mutation | None = None
    groups: Groups | None = None
    method: str = ""
    count: int | None = None
    sparsity: float | None = None
    neighbours: int = 4
    radius: float = 0.1
    extent: float | None = None
    name: str | None = None
    orthogonal_to: tuple[tuple[float, ...], ...] = ()
    steps: int = 0
    seed: int = 0

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> MiningSpec:
        """Read a stored job body; members that do not concern the engine are ignored."""
        mutation, groups = data.get("mutation"), data.get("groups")
        return cls(
            mode=str(data["mode"]),
            mask=data.get("mask"),
            mutation=None if mutation is None else Mutation.from_json(mutation),
            groups=None if groups is None else Groups.from_json(groups),
            method=str(data.get("method") or ""),
            count=data.get("count"),
            sparsity=data.get("sparsity"),
            neighbours=int(data.get("neighbours", 4)),
            radius=float(data.get("radius", 0.1)),
            extent=data.get("extent"),
            name=data.get("name"),
            orthogonal_to=tuple(tuple(map(float, one)) for one in data.get("orthogonal_to") or ()),
            steps=int(data.get("steps", 0)),
            seed=int(data.get("seed", 0)),
        )
