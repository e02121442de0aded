"""Answers of ``/v1/directions``."""

from __future__ import annotations

from typing import Any

from pydantic import computed_field

from app.schemas import Answer, Listing, Moment, Search


class DirectionFilter(Listing):
    generator_id: Search | None = None
    job_id: Search | None = None
    name: Search | None = None


class ScaleRead(Answer):
    unit: str
    per_latent: float
    """how many of it one latent unit along the direction is"""


class DirectionLinks(Answer):
    self: str
    preview: str | None
    """a PNG: some codes from top to bottom, the way along the direction from left to right"""


class DirectionRead(Answer):
    id: str
    generator_id: str
    job_id: str | None
    """that found it"""
    position: int
    """in the job: the most energy first"""
    mode: str
    name: str | None
    """of the mutation that it makes, where that is known"""
    vector: list[float]
    """v, of length one: the mutation of `G(z)` is `G(z + s v)`"""
    extent: float
    """of s, in latent units"""
    scale: ScaleRead | None
    """users' units, where they are known"""
    energy: float
    """mean square of the change of a number in the region per latent unit, to first order"""
    leakage: float | None
    """share of the squared change outside the mask, to first order; null without a mask"""
    mask: dict[str, Any] | None
    measures: dict[str, Any]
    """of independency, of the prior, and how the direction was found"""
    preview_sha256: str | None
    created_at: Moment

    @computed_field  # type: ignore[prop-decorator]
    @property
    def links(self) -> DirectionLinks:
        here = f"/v1/directions/{self.id}"
        return DirectionLinks(self=here, preview=preview_of(self.id) if self.preview_sha256 else None)


class DirectionPage(Answer):
    items: list[DirectionRead]
    next: str | None


def preview_of(direction_id: str) -> str:
    """Return where the picture of a direction is served."""
    return f"/v1/directions/{direction_id}/preview.png"
