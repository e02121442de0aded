"""What routes ask for: the service's parts, a transaction, and who calls."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer, SecurityScopes
from sqlalchemy.orm import Session, sessionmaker

from app.errors import Forbidden, ForeignOrigin, InvalidRequest, NotFound, Unauthorized
from app.keys import service as keys
from app.keys.service import Caller
from app.metrics import Metrics
from app.schemas import CONTROL
from app.settings import Settings
from app.storage import BlobStore

READING = frozenset({"GET", "HEAD", "OPTIONS"})
BEARER = HTTPBearer(auto_error=False, scheme_name="key", description="`Authorization: Bearer glc_…`")


@dataclass(slots=True)
class Parts:
    """What one application is made of; lies in ``app.state.parts``."""

    settings: Settings
    sessions: sessionmaker[Session]
    reading: sessionmaker[Session]
    store: BlobStore
    metrics: Metrics
    open_mode: bool = False
    """decided when the service starts, so that nothing is open by accident before"""


def get_parts(request: Request) -> Parts:
    """Return the parts of the application."""
    parts: Parts = request.app.state.parts
    return parts


PartsDep = Annotated[Parts, Depends(get_parts)]


def get_settings(parts: PartsDep) -> Settings:
    """Return the settings."""
    return parts.settings


def get_session(request: Request, parts: PartsDep) -> Iterator[Session]:
    """Open one transaction for the request; nothing is sent to the database before its first statement."""
    sessions = parts.reading if request.method in READING else parts.sessions
    with sessions() as session, session.begin():
        yield session


SettingsDep = Annotated[Settings, Depends(get_settings)]
SessionDep = Annotated[Session, Depends(get_session, scope="function")]


def get_caller(
    request: Request,
    parts: PartsDep,
    needed: SecurityScopes,
    bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)],
) -> Caller:
    """Find out who calls and whether the key carries the scopes.

    It has a transaction of its own: an upload should not hold one while it streams.
    """
    if parts.open_mode:
        refuse_foreigners(request, parts.settings.host)
        return keys.LOCAL
    if bearer is None:
        raise Unauthorized("The request carries no API key.")
    with parts.reading() as session:
        caller, used_lately = keys.authenticate(session, bearer.credentials)
    for scope in needed.scopes:
        if not caller.may(scope):
            raise Forbidden(f"The key needs the scope {scope}.", extra={"scope": scope})
    if not used_lately:
        with parts.sessions() as session, session.begin():
            keys.note_use(session, caller)
    return caller


def refuse_foreigners(request: Request, host: str) -> None:
    """Keep web pages of other sites out of an open service: they reach loopback through the user's browser.

    Raises:
        ForeignOrigin: the request was addressed to, or sent by, another site than this machine.
    """
    addressed = _host_of(f"//{request.headers.get('host', '')}")
    if not (_is_local(addressed) or addressed == host):
        raise ForeignOrigin(f"The request is addressed to {addressed!r}, not to this machine.")
    origin = request.headers.get("origin")
    if origin is not None and not _is_local(_host_of(origin)):
        raise ForeignOrigin(f"The request comes from a page of {origin!r}.")


def refuse_odd_addresses(request: Request) -> None:
    """Treat a query parameter that the route does not have as the mistake that it is.

    Raises:
        NotFound: the path has control characters, which no id has and PostgreSQL does not take.
        InvalidRequest: naming every such parameter.
    """
    if CONTROL.search(request.scope["path"]):
        raise NotFound("There is nothing at this address.")
    known = _query_names(request.scope["route"].dependant)
    unknown = sorted(set(request.query_params) - known)
    if unknown:
        shown = [re.sub(r"[^ -~]", "?", name)[:100] for name in unknown]
        detail = (
            f"There is no such parameter; there are {', '.join(sorted(known))}."
            if known
            else "None is taken."
        )
        errors = [{"parameter": name, "detail": detail} for name in shown]
        raise InvalidRequest("The query has unknown parameters.", extra={"errors": errors})


def _query_names(dependant: Dependant) -> set[str]:
    names: set[str] = set()
    for parameter in dependant.query_params:
        fields = getattr(parameter.field_info.annotation, "model_fields", None)
        names |= {field.alias or name for name, field in fields.items()} if fields else {parameter.alias}
    return names.union(*(_query_names(child) for child in dependant.dependencies))


def _host_of(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""


def _is_local(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
