"""Errors of the service, grown on the tree of ``glocert.errors``; HTTP statuses are in ``app.problems``.

::

    GlocertError
    └── ServiceError
        ├── InvalidRequest           a field, parameter or header is not valid
        │   ├── InvalidCursor            not a cursor that this list gave
        │   └── ReferenceUnresolved      the registry has no such file, or none for this service
        ├── MalformedRequest         the body cannot be read as what it claims to be
        ├── UnsupportedMediaType     the body is of a kind that the route does not take
        ├── NotAPicture              the item cannot be shown as a picture
        ├── PayloadTooLarge          a limit on bytes is exceeded
        ├── Unauthorized             no key, or not a valid one
        ├── Forbidden                the key lacks the scope
        │   ├── ForeignOrigin            open mode answers to this machine only
        │   └── ReferenceForbidden       the settings do not allow the reference, or where it leads
        ├── NotFound                 not there, or not the caller's
        ├── MethodNotAllowed         the path is there, the method is not
        ├── Conflict                 the state of the thing does not allow it
        │   ├── InUse                    an unfinished job needs it
        │   ├── NetworkNotReady          not inspected yet, or rejected
        │   ├── DatasetNotReady          not inspected yet, or rejected
        │   ├── JobFinished              nothing to cancel any more
        │   ├── JobNotResumable          nothing to go on with
        │   └── CertificateNotIssued     the job has not succeeded
        ├── IdempotencyMismatch      the key was used with another body
        ├── LimitExceeded            an owner has as many as the settings allow
        │   └── TooManyJobs              … queued and running jobs; waiting helps
        ├── ReferenceUnavailable     the registry does not answer
        └── KindNotOffered           the job kind is not part of this release
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from glocert.errors import GlocertError, Offence


class ServiceError(GlocertError):
    """Base of the errors that the service adds."""

    code = "service-error"
    title = "The request failed"

    def __init__(
        self, detail: str, offences: Sequence[Offence] = (), extra: Mapping[str, Any] | None = None
    ) -> None:
        super().__init__(detail, offences)
        self.extra = dict(extra or {})

    def to_problem(self) -> dict[str, Any]:
        """Return the members of the problem, ``extra`` included."""
        return {**super().to_problem(), **self.extra}


class InvalidRequest(ServiceError):
    """A field, parameter or header is not valid; ``where`` of the offences is a JSON pointer or a name."""

    code = "invalid-request"
    title = "The request is not valid"


class InvalidCursor(InvalidRequest):
    """The cursor is not one that this list gave."""

    code = "invalid-cursor"
    title = "The cursor is not valid"


class ReferenceUnresolved(InvalidRequest):
    """The registry has no such file, does not give it to this service, or says something odd."""

    code = "reference-unresolved"
    title = "The reference leads to no file"


class MalformedRequest(ServiceError):
    """The body is not JSON, or not a multipart form."""

    code = "malformed-request"
    title = "The request body cannot be read"


class UnsupportedMediaType(ServiceError):
    """The route does not take a body of this media type."""

    code = "unsupported-media-type"
    title = "The media type of the body is not supported"


class NotAPicture(ServiceError):
    """The item of the data set is not an image."""

    code = "not-a-picture"
    title = "The item cannot be shown as a picture"


class PayloadTooLarge(ServiceError):
    """The body or a part of it is larger than the settings allow."""

    code = "payload-too-large"
    title = "The request body is too large"


class Unauthorized(ServiceError):
    """There is no key in the request, or not a valid one."""

    code = "unauthorized"
    title = "A valid API key is needed"


class Forbidden(ServiceError):
    """The key does not carry the scope."""

    code = "forbidden"
    title = "The API key does not allow this"


class ForeignOrigin(Forbidden):
    """Without keys, only requests that this machine addressed to itself are answered."""

    code = "foreign-origin"
    title = "Without API keys, only this machine is answered"


class ReferenceForbidden(Forbidden):
    """The settings do not allow the reference, or an address that it leads to."""

    code = "reference-forbidden"
    title = "The service does not follow this reference"


class ReferenceUnavailable(ServiceError):
    """The registry did not answer, or not in time."""

    code = "reference-unavailable"
    title = "The registry does not answer"


class NotFound(ServiceError):
    """There is no such thing, or it belongs to somebody else."""

    code = "not-found"
    title = "There is no such thing"


class MethodNotAllowed(ServiceError):
    """The path does not answer to this method."""

    code = "method-not-allowed"
    title = "The path does not answer to this method"


class Conflict(ServiceError):
    """The present state does not allow what was asked for."""

    code = "conflict"
    title = "The present state does not allow this"


class InUse(Conflict):
    """A queued or running job needs it."""

    code = "in-use"
    title = "A job that has not finished needs this"


class NetworkNotReady(Conflict):
    """The model has not been inspected yet, or was rejected."""

    code = "network-not-ready"
    title = "The model cannot be used"


class DatasetNotReady(Conflict):
    """The data set has not been inspected yet, or was rejected."""

    code = "dataset-not-ready"
    title = "The data set cannot be used"


class JobFinished(Conflict):
    """The job has ended: there is nothing to cancel."""

    code = "job-finished"
    title = "The job has finished"


class JobNotResumable(Conflict):
    """The job was not interrupted, or what it needs is gone."""

    code = "job-not-resumable"
    title = "The job cannot be resumed"


class CertificateNotIssued(Conflict):
    """Only a job that succeeded has a certificate."""

    code = "certificate-not-issued"
    title = "There is no certificate"


class IdempotencyMismatch(ServiceError):
    """The Idempotency-Key came before with another body."""

    code = "idempotency-mismatch"
    title = "The Idempotency-Key was used for another request"


class LimitExceeded(ServiceError):
    """The owner has as many as the settings allow; ``extra`` names the limit."""

    code = "limit-exceeded"
    title = "A limit of this service is reached"


class TooManyJobs(LimitExceeded):
    """The owner has too many queued and running jobs; it helps to wait."""

    code = "too-many-jobs"
    title = "Too many jobs are queued or running"


class KindNotOffered(ServiceError):
    """The job kind is known or not, but not part of this release."""

    code = "kind-not-offered"
    title = "The job kind is not offered by this release"
