"""``/v1/directions``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Security
from fastapi.responses import FileResponse

from app.deps import SessionDep, SettingsDep, get_caller
from app.directions import service
from app.directions.schemas import DirectionFilter, DirectionPage, DirectionRead
from app.keys.service import Caller
from app.problems import Responses, problems

router = APIRouter(prefix="/v1/directions", tags=["Directions"])
Reader = Annotated[Caller, Security(get_caller, scopes=["models:read"])]
Writer = Annotated[Caller, Security(get_caller, scopes=["models:write"])]
PNG: Responses = {200: {"content": {"image/png": {}}, "description": "A picture"}}


@router.get("", operation_id="listDirections", responses=problems())
def list_directions(
    caller: Reader, query: Annotated[DirectionFilter, Query()], session: SessionDep, settings: SettingsDep
) -> DirectionPage:
    """List directions from the newest to the oldest."""
    found = service.list_directions(session, caller, query, min(query.limit, settings.max_page))
    return DirectionPage.model_validate(found)


@router.get("/{direction_id}", operation_id="getDirection", responses=problems(404))
def get_direction(direction_id: str, caller: Reader, session: SessionDep) -> DirectionRead:
    """Show a direction of a generator's latent space and what was measured of it."""
    return DirectionRead.model_validate(service.get(session, caller, direction_id))


@router.get(
    "/{direction_id}/preview.png",
    operation_id="getDirectionPreview",
    response_class=FileResponse,
    responses=PNG | problems(404),
)
def get_preview(direction_id: str, caller: Reader, session: SessionDep) -> FileResponse:
    """Show what the direction does: some codes from top to bottom, the way along it from left to right."""
    digest, path = service.preview(session, caller, direction_id)
    headers = {"ETag": f'"{digest}"', "Cache-Control": "private, max-age=31536000, immutable"}
    return FileResponse(
        path, headers=headers, media_type="image/png", filename=f"{direction_id}.png",
        content_disposition_type="inline",
    )  # fmt: skip


@router.delete("/{direction_id}", status_code=204, operation_id="deleteDirection", responses=problems(404))
def delete_direction(direction_id: str, caller: Writer, session: SessionDep) -> None:
    """Delete a direction; certifications along it keep its vector."""
    service.delete(session, caller, direction_id)
