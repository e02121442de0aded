"""``/v1/api-keys``."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Response, Security

from app.deps import SessionDep, SettingsDep, get_caller
from app.keys import service
from app.keys.schemas import KeyCreate, KeyCreated, KeyPage, KeyRead
from app.keys.service import ADMIN, Caller
from app.problems import problems
from app.schemas import Listing

router = APIRouter(prefix="/v1/api-keys", tags=["API keys"])
Admin = Annotated[Caller, Security(get_caller, scopes=[ADMIN])]


@router.post("", status_code=201, operation_id="createApiKey", responses=problems(400, 413, 415))
def create_key(body: KeyCreate, caller: Admin, session: SessionDep, response: Response) -> KeyCreated:
    """Make a key.

    The key is in this answer and nowhere else: the service keeps its digest only.
    """
    row, key = service.create(session, caller, body.name, list(body.scopes), body.owner, body.expires_at)
    response.headers["Location"] = f"/v1/api-keys/{row.id}"
    response.headers["Cache-Control"] = "no-store"
    return KeyCreated.model_validate(KeyRead.model_validate(row).model_dump() | {"key": key})


@router.get("", operation_id="listApiKeys", responses=problems())
def list_keys(
    _: Admin, query: Annotated[Listing, Query()], session: SessionDep, settings: SettingsDep
) -> KeyPage:
    """List the keys of all owners, from the newest to the oldest."""
    found = service.list_keys(session, query.cursor, min(query.limit, settings.max_page))
    return KeyPage.model_validate(found)


@router.get("/{key_id}", operation_id="getApiKey", responses=problems(404))
def get_key(key_id: str, _: Admin, session: SessionDep) -> KeyRead:
    """Show a key, without the key itself."""
    return KeyRead.model_validate(service.get(session, key_id))


@router.delete("/{key_id}", status_code=204, operation_id="revokeApiKey", responses=problems(404))
def revoke_key(key_id: str, _: Admin, session: SessionDep) -> None:
    """Revoke a key; it stays listed."""
    service.revoke(session, key_id)
