"""``/v1/capabilities``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Security

from app.capabilities import service
from app.capabilities.schemas import Capabilities
from app.deps import PartsDep, get_caller
from app.keys.service import Caller
from app.problems import problems

router = APIRouter(prefix="/v1/capabilities", tags=["Service"])


@router.get("", operation_id="getCapabilities", responses=problems())
def get_capabilities(_: Annotated[Caller, Security(get_caller)], parts: PartsDep) -> Capabilities:
    """Say what this release takes: job kinds, mutations, operators, formats, limits."""
    return Capabilities.model_validate(service.describe(parts.settings, open_mode=parts.open_mode))
