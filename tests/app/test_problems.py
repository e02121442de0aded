from __future__ import annotations

import re
from pathlib import Path

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

import app
from app import errors, problems
from app.errors import ServiceError
from glocert import errors as core
from tests.app.serving import Served, code

ROOT = Path(app.__file__).parents[1]


def test_every_error_has_a_row_a_code_and_a_title_of_its_own() -> None:
    tree = [
        cls for cls in problems.error_tree() if cls.__module__.startswith(("app.", "glocert.", "workers."))
    ]
    assert len(tree) > 30
    assert [cls.__name__ for cls in tree if cls not in problems.TABLE] == []
    codes = [cls.code for cls in tree]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", text) for text in codes)
    assert len({cls.title for cls in tree}) == len(tree)


def test_the_walk_finds_a_class_without_a_row() -> None:
    class Forgotten(ServiceError):
        code = "forgotten"

    assert Forgotten in set(problems.error_tree())
    assert Forgotten not in problems.TABLE


@pytest.mark.parametrize("module", [errors, core])
def test_the_drawing_of_the_tree_is_complete(module: object) -> None:
    drawn = set(re.findall(r"[├└│ ]── (\w+)", module.__doc__ or ""))
    there = {cls.__name__ for cls in problems.error_tree() if cls.__module__ == module.__name__}  # type: ignore[attr-defined]
    assert there - {"GlocertError", "Forgotten"} == drawn


def test_every_problem_explains_itself(steady: Served) -> None:
    for cls in problems.TABLE:
        page = steady.client.get(f"/problems/{cls.code}").json()
        assert (page["code"], page["title"]) == (cls.code, cls.title)
        assert page["status"] == problems.TABLE[cls].status
        assert page["description"]
        assert page["way_out"]
    assert code(steady.client.get("/problems/no-such-thing")) == "not-found"


@pytest.mark.parametrize(
    ("method", "path", "status", "problem"),
    [
        ("GET", "/nowhere", 404, "not-found"),
        ("GET", "/v1/models/%00", 404, "not-found"),
        ("GET", "/v1/models/" + "x" * 5000, 404, "not-found"),
        ("PATCH", "/v1/models", 405, "method-not-allowed"),
        ("GET", "/v1/models?lim=3", 422, "invalid-request"),
        ("GET", "/v1/models?limit=0", 422, "invalid-request"),
        ("GET", "/v1/models?status=odd", 422, "invalid-request"),
        ("GET", "/v1/models?name=%00", 422, "invalid-request"),
        ("GET", "/v1/jobs?tag=%00", 422, "invalid-request"),
        ("GET", "/v1/models/x?wait=nan", 422, "invalid-request"),
        ("GET", "/v1/models?cursor=abc", 422, "invalid-cursor"),
        ("GET", "/v1/models?cursor=WzFd", 422, "invalid-cursor"),
        ("GET", "/v1/models?cursor=WyIyMDI2IiwgIlx1MDAwMCJd", 422, "invalid-cursor"),
        ("GET", "/v1/models?cursor=%C3%A9", 422, "invalid-cursor"),
    ],
)
def test_refusals_are_problems(steady: Served, method: str, path: str, status: int, problem: str) -> None:
    answer = steady.client.request(method, path)
    assert (answer.status_code, code(answer)) == (status, problem)


def test_unknown_parameters_are_named_with_those_that_exist(steady: Served) -> None:
    answer = steady.client.get("/v1/jobs/x/results?verdikt=falsified&limit=3&q=1")
    assert [error["parameter"] for error in answer.json()["errors"]] == ["q", "verdikt"]
    assert "cursor, limit, verdict" in answer.json()["errors"][0]["detail"]
    assert steady.client.get("/healthz?x=1").status_code == 422


def test_a_crash_tells_nothing_of_the_inside(served: Served) -> None:
    served.app.state.parts.metrics.render = lambda: 1 / 0
    answer = served.client.get("/metrics")
    assert (answer.status_code, code(answer)) == (500, "internal-error")
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["connection"] == "close"
    assert "division" not in answer.text
    assert "Traceback" not in answer.text


def test_an_answer_waits_for_the_commit(served: Served) -> None:
    """A job that was promised and not stored would be worse than an error."""
    body = served.body()

    def fail(session: Session) -> None:
        if not session.in_nested_transaction():
            raise OSError("disk full")

    event.listen(served.app.state.parts.sessions, "before_commit", fail)
    answer = served.client.post("/v1/jobs", json=body)
    assert (answer.status_code, code(answer)) == (500, "internal-error")
    event.remove(served.app.state.parts.sessions, "before_commit", fail)
    assert served.client.get("/v1/jobs").json()["items"] == []


def test_no_route_raises_http_exceptions_and_no_service_knows_http() -> None:
    for path in (ROOT / "app").rglob("*.py"):
        text = path.read_text()
        assert "raise HTTPException" not in text, path
        if path.name in {"service.py", "repository.py"}:
            assert not re.search(r"^(from|import) (fastapi|starlette)", text, re.MULTILINE), path
            assert ".commit()" not in text, path
        if path.name != "repository.py" and path.parts[-2] != "units":
            assert "session.execute(" not in text or path.name == "db.py", path
