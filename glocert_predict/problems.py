"""Errors of the server as RFC 9457 problems."""

from __future__ import annotations

from fastapi import Request
from fastapi.responses import JSONResponse


class Problem(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: str, detail: str) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail = status, code, detail


def answer(_request: Request, problem: Exception) -> JSONResponse:
    """Return the body of a problem."""
    assert isinstance(problem, Problem)
    title = problem.code.replace("-", " ").capitalize()
    body = {
        "type": f"/problems/{problem.code}",
        "title": title,
        "status": problem.status,
        "detail": problem.detail,
    }
    return JSONResponse(body, problem.status, media_type="application/problem+json")
