"""``/v1/jobs/{id}/certificate``."""

from __future__ import annotations

import base64
from typing import Annotated, Any

from fastapi import APIRouter, Header, Response, Security

from app.certificates import service
from app.deps import SessionDep, get_caller
from app.examples import CERTIFICATE
from app.jobs import service as jobs
from app.keys.service import Caller
from app.problems import Responses, problems

router = APIRouter(prefix="/v1/jobs", tags=["Certificates"])
Reader = Annotated[Caller, Security(get_caller, scopes=["jobs:read"])]
MEDIA_TYPE = "application/vnd.in-toto+json"
DESCRIPTION = "The statement as canonical JSON (RFC 8785): these bytes have the digest that the job names"
TEXT: dict[str, Any] = {"schema": {"type": "object"}, "example": CERTIFICATE}


def _responses(media_type: str) -> Responses:
    answers: Responses = {
        200: {"content": {media_type: TEXT}, "description": DESCRIPTION},
        304: {"description": "The caller has it already"},
    }
    return answers | problems(404, 409)


@router.get(
    "/{job_id}/certificate",
    operation_id="getCertificate",
    response_class=Response,
    responses=_responses(MEDIA_TYPE),
)
def get_certificate(
    job_id: str, caller: Reader, session: SessionDep, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """Give the certificate: an in-toto Statement about what was shown.

    `Content-Digest` and `ETag` carry the SHA-256 of the bytes.
    """
    return _answer(session, jobs.get(session, caller, job_id), if_none_match, MEDIA_TYPE)


@router.get(
    "/{job_id}/certificate.json",
    operation_id="getCertificateJson",
    response_class=Response,
    responses=_responses("application/json"),
)
def get_certificate_json(
    job_id: str, caller: Reader, session: SessionDep, if_none_match: Annotated[str | None, Header()] = None
) -> Response:
    """Give the same bytes as `application/json`, which browsers show."""
    return _answer(session, jobs.get(session, caller, job_id), if_none_match, "application/json")


def _answer(session: SessionDep, job: Any, if_none_match: str | None, media_type: str) -> Response:
    content = service.read(session, job)
    sha256 = str(job.certificate_sha256)
    headers = {
        "ETag": f'"{sha256}"',
        "Content-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:",
    }
    known = {tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")}
    if headers["ETag"] in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media_type, headers=headers)
