"""What can go wrong between a caller and the service, as one tree.

::

    ClientError
    ├── ServiceUnreachable   no usable answer: refused, timed out, or an answer that is no JSON
    ├── ServiceError         the service answered with a problem document (RFC 9457)
    ├── UploadRejected       inspection found the model or the data set unusable
    ├── JobFailed            the job ended as failed, or was cancelled
    └── WaitTimeout          the caller's own patience ran out; the job goes on
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class ClientError(Exception):
    """Base of every error that the client raises on purpose; ``str(error)`` is one sentence."""


class ServiceUnreachable(ClientError):
    """No usable answer came, after all the retries that were allowed."""


class WaitTimeout(ClientError):
    """What was waited for did not end in the time that the caller gave."""


class ProblemError(ClientError):
    """Base of the errors that carry a problem document.

    Attributes:
        problem: the document as the service sent it: ``type``, ``title``, ``status``, ``detail``, ``errors``.
    """

    def __init__(self, problem: Mapping[str, Any]) -> None:
        super().__init__(str(problem.get("detail") or problem.get("title") or "the service gave no reason"))
        self.problem = dict(problem)

    @property
    def code(self) -> str:
        """Stable code of the problem, such as ``unsupported-operators``."""
        return str(self.problem.get("type") or "about:blank").rsplit("/", 1)[-1]

    @property
    def title(self) -> str:
        """The kind of problem in a few words."""
        return str(self.problem.get("title") or self.code)

    @property
    def offences(self) -> Sequence[Mapping[str, Any]]:
        """Everything at fault: a field, a node or a row each, with what is wrong there."""
        return [dict(entry) for entry in self.problem.get("errors") or ()]


class ServiceError(ProblemError):
    """The service refused a request.

    Attributes:
        status: HTTP status of the answer.
    """

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        super().__init__(problem)
        self.status = status


class UploadRejected(ProblemError):
    """Inspection found an upload unusable; ``offences`` names every node or row at fault.

    Attributes:
        id: id of the rejected model or data set, which stays readable.
    """

    def __init__(self, id: str, problem: Mapping[str, Any]) -> None:  # noqa: A002
        super().__init__(problem)
        self.id = id


class JobFailed(ProblemError):
    """A job ended without an answer.

    Attributes:
        id: id of the job.
        status: ``failed`` or ``cancelled``.
    """

    def __init__(self, id: str, status: str, problem: Mapping[str, Any]) -> None:  # noqa: A002
        super().__init__(problem)
        self.id = id
        self.status = status
