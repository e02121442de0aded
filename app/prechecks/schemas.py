"""Answers of ``/v1/models/{id}/precheck``."""

from __future__ import annotations

from typing import Any

from app.jobs.precheck import PrecheckSummary
from app.jobs.schemas import Status
from app.schemas import Answer


class PrecheckLink(Answer):
    id: str
    status: Status
    href: str


class PrecheckRead(Answer):
    model_id: str
    role: str
    family: str | None
    """`exact` or `enclosure`"""
    methods: dict[str, Any]
    """which methods admit the model, why not, and the nodes that stand in the way"""
    parameters: int | None
    nonlinear_units: int | None
    nonlinear_units_by_operator: dict[str, int] | None
    input: dict[str, Any] | None
    outputs: list[dict[str, Any]] | None
    preprocessing: dict[str, Any]
    """the model's own settings"""
    notes: list[str]
    dataset_id: str | None
    job: PrecheckLink | None
    """the newest precheck with the data set"""
    summary: PrecheckSummary | None
    """of the newest one that has succeeded"""
