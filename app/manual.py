"""The page ``/docs``: Swagger UI from files of this machine, and the way to it from ``/``.

Nothing is fetched from elsewhere, so the page works without the internet and runs nobody else's script.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from fastapi import APIRouter, FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, RedirectResponse
from starlette.staticfiles import StaticFiles

ASSETS = "/docs/assets"
router = APIRouter(include_in_schema=False)


def install(app: FastAPI) -> None:
    """Add the page and its files."""
    app.include_router(router)
    app.mount(ASSETS, StaticFiles(directory=Path(str(files("fastapi_offline"))) / "static"))


@router.get("/")
def get_root() -> RedirectResponse:
    """Lead whoever opens the bare address to the manual."""
    return RedirectResponse("/docs")


@router.get("/docs")
def get_manual(request: Request) -> HTMLResponse:
    """Show every route with its examples."""
    return get_swagger_ui_html(
        openapi_url=str(request.app.openapi_url),
        title="GloCert: the API",
        swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
        swagger_css_url=f"{ASSETS}/swagger-ui.css",
        swagger_favicon_url=f"{ASSETS}/favicon.png",
    )
