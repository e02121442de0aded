"""How the application describes itself: the OpenAPI document with an example on every route."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.examples import BY_SCHEMA
from app.schemas import Problem

PARTS: tuple[tuple[str, type], ...] = (("Problem", Problem),)


def describe(app: FastAPI) -> None:
    """Certify that no point of a path of changed inputs changes a network's answer.

    Upload a model and a data set, post a job, look at it until it has ended, read a verdict per input and the
    certificate. Errors are RFC 9457 problems with a stable `type`; `GET` of that address explains it.
    """

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = build(app)
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def build(app: FastAPI) -> dict[str, Any]:
    """Return the document with the schemas that routes only refer to."""
    document = get_openapi(
        title=app.title,
        version=app.version,
        description=app.description,
        routes=app.routes,
        separate_input_output_schemas=False,
    )
    schemas = document["components"]["schemas"]
    for name, model in PARTS:
        schemas[name] = model.model_json_schema(ref_template="#/components/schemas/{model}")  # type: ignore[attr-defined]
    for path in document["paths"].values():
        for operation in path.values():
            _add_examples(operation)
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    return document


def _add_examples(operation: dict[str, Any]) -> None:
    for part in (operation.get("requestBody", {}), *operation["responses"].values()):
        for content in part.get("content", {}).values():
            name = str(content.get("schema", {}).get("$ref", "")).rpartition("/")[2]
            if name in BY_SCHEMA and "examples" not in content:
                content["example"] = BY_SCHEMA[name]
