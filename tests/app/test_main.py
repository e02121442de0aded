from __future__ import annotations

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

import app
from app.main import create_app
from app.openapi import FILE, main, render
from app.settings import Settings
from tests.app.serving import Served

ROOT = Path(app.__file__).parents[1]
HEAVY = ("torch", "onnx", "onnxruntime", "safetensors", "workers")


def test_the_service_loads_neither_torch_nor_onnx() -> None:
    script = f"""
import sys, tempfile, pathlib
from app.main import create_app
from app.settings import Settings
create_app(Settings(data_dir=pathlib.Path(tempfile.mkdtemp()))).openapi()
import app.datasets.arrays, app.certificates.statement
print([name for name in {HEAVY!r} if name in sys.modules])
"""
    run = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_the_committed_document_is_the_present_one(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert FILE.read_text() == render(), "run python -m app.openapi"
    assert main(["--check"]) == 0
    monkeypatch.setattr("app.openapi.FILE", tmp_path / "openapi.json")
    assert main(["--check"]) == 1
    assert main([]) == 0
    assert main(["--check"]) == 0


def test_every_operation_is_fit_for_clients(steady: Served) -> None:
    document = steady.client.get("/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names) >= 25
    assert all(name.isidentifier() for name in names)
    for operation in operations:
        assert operation["summary"]
        assert operation["description"]
        assert operation["tags"]
        assert "422" in operation["responses"]
        good = [answer for status, answer in operation["responses"].items() if status < "300"]
        assert good
        for answer in good:
            for kind, content in answer.get("content", {}).items():
                assert kind != "application/json" or "example" in content, operation["operationId"]
        for kind, content in operation.get("requestBody", {}).get("content", {}).items():
            assert kind == "multipart/form-data" or "example" in content or "examples" in content


def test_every_example_is_valid_and_every_reference_leads_somewhere(steady: Served) -> None:
    from jsonschema import Draft202012Validator

    document, checked = steady.client.get("/openapi.json").json(), 0
    for path in document["paths"].values():
        for operation in path.values():
            for answer in operation["responses"].values():
                for content in answer.get("content", {}).values():
                    if "example" in content and "schema" in content:
                        schema = content["schema"] | {"components": document["components"]}
                        Draft202012Validator(schema).validate(content["example"])
                        checked += 1
    assert checked >= len(document["paths"])  # a document without examples must not pass


def test_answers_carry_an_id_and_protective_headers(steady: Served) -> None:
    answer = steady.client.get("/v1/jobs", headers={"X-Request-ID": "ci-7.a_b"})
    assert answer.headers["x-request-id"] == "ci-7.a_b"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    other = steady.client.get("/v1/jobs", headers={"X-Request-ID": "x" * 65})
    assert other.headers["x-request-id"] != "x" * 65


def test_readiness_names_what_is_missing(served: Served) -> None:
    ready = served.client.get("/readyz").json()
    assert ready == {
        "ready": True,
        "checks": {"database": True, "schema": True, "storage": True},
        "workers": 0,
    }
    with served.session() as session:
        session.connection().exec_driver_sql("UPDATE alembic_version SET version_num = '0'")
    answer = served.client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["schema"]) == (503, False)
    assert served.client.get("/healthz").status_code == 200


def test_metrics_count_jobs_units_uploads_and_the_age_of_the_queue(served: Served) -> None:
    served.job()
    text = served.client.get("/metrics").text
    assert 'glocert_jobs{status="queued"} 1.0' in text
    assert 'glocert_units{status="done"} 2.0' in text
    assert 'glocert_upload_bytes_total{kind="model"} 4.0' in text
    (age,) = [
        float(line.split()[1]) for line in text.splitlines() if line.startswith("glocert_queue_age_seconds ")
    ]
    assert 0 < age < 60


def test_capabilities_name_mutations_and_limits(steady: Served) -> None:
    found = steady.client.get("/v1/capabilities").json()
    assert found["kinds"] == [
        "segment-certification", "precheck", "lipschitz-certification", "gloro-wrap", "gloro-training",
        "gloro-prediction",
        "direction-mining", "generator-training",
    ]  # fmt: skip
    assert found["mutations"]["fog"] == "density"
    assert found["limits"]["max_model_bytes"] == 2**16
    assert found["sandbox"] == "require"


def test_every_property_and_law_that_is_named_is_taken(steady: Served) -> None:
    found = steady.client.get("/v1/capabilities").json()
    members = steady.client.get("/openapi.json").json()["components"]["schemas"]
    body = members["SegmentCertification"]["properties"]
    assert set(found["laws"]) == set(body["law"]["discriminator"]["mapping"])
    assert set(found["properties"]) == set(body["property"]["discriminator"]["mapping"])


def test_capabilities_name_what_the_importer_and_the_paths_take(steady: Served) -> None:
    import glocert.graph.onnx_operators  # noqa: F401 - fills the registry
    from glocert.graph.imported import Tail
    from glocert.graph.onnx_operators.registry import OPERATORS
    from glocert.paths.request import TYPES

    found = steady.client.get("/v1/capabilities").json()
    assert set(found["operators"]) == {*OPERATORS, *Tail.OPERATORS}
    assert set(found["mutations"]) == TYPES


def test_background_parts_live_as_long_as_the_service(settings: Settings) -> None:
    seen: list[str] = []

    @contextmanager
    def part(name: str) -> Any:
        seen.append(f"+{name}")
        yield
        seen.append(f"-{name}")

    async def run() -> None:
        service = create_app(settings, background=[part("a"), part("b")])
        async with service.router.lifespan_context(service):
            assert seen == ["+a", "+b"]

    anyio.run(run)
    assert seen == ["+a", "+b", "-b", "-a"]


def test_orphans_of_a_crash_are_swept_at_the_start_and_nothing_else(
    settings: Settings, served: Served
) -> None:
    import os

    served.model(b"kept")
    store = served.app.state.parts.store
    orphan, fresh = store.put([b"orphan"]), store.put([b"fresh orphan"])
    left = settings.data_dir / "incoming" / "left"
    left.write_bytes(b"x")
    for path in [*served.blobs, left]:
        if path.name != fresh.sha256:
            os.utime(path, (0, 0))

    async def run() -> None:
        service = create_app(settings)
        async with service.router.lifespan_context(service):
            pass

    anyio.run(run)
    assert not store.path(orphan.sha256).exists()
    assert not left.exists()
    assert len(served.blobs) == 2
