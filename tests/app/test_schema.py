"""Requests made up from the OpenAPI document, right ones and wrong ones, over the whole API."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase
from hypothesis import settings as hypothesis_settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from app.openapi import FILE
from app.settings import Settings
from tests.app.serving import ADMIN_KEY, Served, row, serving

CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance, negative_data_rejection, unsupported_method,
]  # fmt: skip
schema = schemathesis.openapi.from_path(FILE)


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Served]:
    """A service with a finished and an unfinished job, so that ids and lists lead somewhere."""
    folder = tmp_path_factory.mktemp("schema")
    shutil.copy(sqlite_template, folder / "glocert.sqlite3")
    settings = Settings(data_dir=folder, admin_key=ADMIN_KEY, max_body_bytes=2**20, max_wait_s=0.2)
    with serving(settings, ADMIN_KEY) as running:
        fill(running)
        yield running


def fill(steady: Served) -> None:
    job = steady.job(inputs={"indices": [0, 1]})
    steady.work(job["id"], [row(0), row(1, "falsified")])
    steady.picture(job["id"], 1, "counterexample.png")
    steady.finish(job["id"])
    steady.job(model_id=job["model_id"], dataset_id=job["dataset_id"])


@schema.parametrize()
@hypothesis_settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_api_keeps_to_its_document(filled: Served, case: schemathesis.Case) -> None:
    case.call_and_validate(
        base_url=filled.url, checks=CHECKS, timeout=30, headers={"Authorization": f"Bearer {ADMIN_KEY}"}
    )
