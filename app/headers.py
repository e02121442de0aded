"""Headers of every answer."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import MutableHeaders
from starlette.types import Scope

HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
NO_SCRIPTS = "default-src 'none'; frame-ancestors 'none'"
DOCS = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"
)


def protect(headers: MutableHeaders, scope: Scope) -> None:
    """Add the id of the request and what keeps browsers from doing harm with the answer."""
    for name, value in HEADERS.items():
        headers.setdefault(name, value)
    headers.setdefault("Content-Security-Policy", DOCS if scope["path"] == "/docs" else NO_SCRIPTS)
    headers["X-Request-ID"] = scope["request_id"]
