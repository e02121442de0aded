"""The OpenAPI document: ``python -m app.openapi`` writes ``docs/openapi.json``, ``--check`` compares it."""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from app.examples import BY_SCHEMA
from app.schemas import Problem
from app.settings import Settings

FILE = Path(__file__).resolve().parent.parent / "docs" / "openapi.json"
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


def render() -> str:
    """Return the text of the committed file."""
    from app.main import create_app  # here, because the application describes itself with this module

    with tempfile.TemporaryDirectory() as folder:
        document = create_app(Settings(data_dir=Path(folder))).openapi()
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def main(arguments: list[str]) -> int:
    """Write or compare the file; 1 when it is not up to date."""
    text = render()
    if "--check" not in arguments:
        FILE.write_text(text)
        return 0
    if FILE.exists() and FILE.read_text() == text:
        return 0
    sys.stderr.write("docs/openapi.json is out of date: run python -m app.openapi\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
