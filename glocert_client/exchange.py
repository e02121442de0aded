"""One request and its answer as data: building, decoding, and whether to try again; no input or output.

The transport is thin on purpose, so that another one (asynchronous, in-process) repeats nothing of this.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any

from glocert_client.errors import ServiceError, ServiceUnreachable

RETRIED = frozenset({429, 502, 503, 504})
FIRST_PAUSE_S = 0.2
LONGEST_PAUSE_S = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """What to send.

    Attributes:
        method: HTTP method.
        path: below the address of the service, with leading slash.
        query: parameters; those that are None are left out.
        body: sent as JSON.
        form: fields of a multipart form beside ``file``; those that are None are left out.
        file: sent as the part ``file`` of a multipart form, read from the disk at every attempt.
        headers: besides those that every request carries.
        repeatable: whether sending it twice does no harm.
        patience_s: how long the service itself may hold the answer back (long poll).
    """

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    form: Mapping[str, Any] = field(default_factory=dict)
    file: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    repeatable: bool = True
    patience_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; header names are lower case."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def retry_after_s(self) -> float | None:
        """Seconds that the service asks to wait, from either form of ``Retry-After``."""
        return seconds_of(self.headers.get("retry-after", ""), datetime.now(UTC))

    def json(self) -> Any:
        """Return the decoded body.

        Raises:
            ServiceUnreachable: the body is no JSON, so something else than the service answered.
        """
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise ServiceUnreachable(
                f"HTTP {self.status} with a body that is no JSON: is this the address of GloCert?"
            ) from error

    def checked(self) -> Answer:
        """Return itself.

        Raises:
            ServiceError: the status says that the request was refused.
        """
        if self.status < 300 or self.status == 304:
            return self
        raise ServiceError(self.status, self._problem())

    def _problem(self) -> Mapping[str, Any]:
        try:
            problem = json.loads(self.content)
        except ValueError:
            problem = None
        if isinstance(problem, dict) and ("title" in problem or "detail" in problem):
            return problem
        return {"type": "about:blank", "title": f"HTTP {self.status}", "status": self.status,
                "detail": f"the server answered HTTP {self.status} without a problem document"}  # fmt: skip


def seconds_of(retry_after: str, now: datetime) -> float | None:
    """Read a ``Retry-After`` header: seconds or a date; None when it is absent or unreadable."""
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        moment = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return max(0.0, (moment - now).total_seconds())


def pause_before_retry(
    request: Request, attempt: int, answer: Answer | None, *, attempts: int
) -> float | None:
    """Return the seconds to wait before sending ``request`` again, or None to stop trying.

    Args:
        request: what was sent.
        attempt: how often it was sent already, at least 1.
        answer: what came back; None when the connection failed.
        attempts: how often it may be sent in all.
    """
    if not request.repeatable or attempt >= attempts:
        return None
    if answer is None:
        return FIRST_PAUSE_S * 2.0 ** (attempt - 1)
    if answer.status not in RETRIED:
        return None
    asked = answer.retry_after_s
    pause = FIRST_PAUSE_S * 2.0 ** (attempt - 1) if asked is None else asked
    return pause if pause <= LONGEST_PAUSE_S else None
