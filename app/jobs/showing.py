"""From the row of a job to the answer of the API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, cast

from app.jobs import generators, gloro, mining
from app.jobs.schemas import (
    BODIES,
    SUMMARIES,
    AnySummary,
    CertificateLink,
    JobBody,
    JobRead,
    Progress,
)
from models import Job, JobStatus, now

MODEL = ("model_id", "from_model_id", "generator_id")
"""members of requests that name what a job is about"""
COUNTED: Mapping[str, Literal["epochs", "files", "stages"]] = {
    gloro.TRAINING: "epochs",
    gloro.WRAP: "files",
    mining.KIND: "stages",
    generators.KIND: "epochs",
}
"""What progress counts where it does not count inputs."""


def read(job: Job) -> JobRead:
    """Return the document of a job."""
    return JobRead(
        id=job.id,
        kind=job.kind,
        status=job.status,
        model_id=next((job.spec[member] for member in MODEL if member in job.spec), None),
        dataset_id=job.spec.get("dataset_id"),
        request=request(job),
        tags=job.tags,
        priority=job.priority,
        cancel_requested=job.cancel_requested,
        progress=progress(job),
        clean_accuracy=job.clean_accuracy,
        warnings=job.warnings,
        summary=summary(job),
        error=job.error,
        certificate=certificate(job),
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
    )


def request(job: Job) -> JobBody:
    """Return what was asked for, with every default filled in."""
    return cast("JobBody", BODIES[job.kind].model_validate(job.spec))


def summary(job: Job) -> AnySummary | None:
    """Return what the whole job found."""
    if job.summary is None or job.status != JobStatus.SUCCEEDED:
        return None
    return cast("AnySummary", SUMMARIES[job.kind].model_validate(job.summary))


def progress(job: Job) -> Progress:
    """Return how far a job is; rate and remaining time only while it runs and has shown a speed."""
    done, total, unit = job.inputs_done, job.inputs_total, COUNTED.get(job.kind, "inputs")
    here = done - job.inputs_done_before
    if job.status != JobStatus.RUNNING or job.started_at is None or here <= 0:
        return Progress(done=done, total=total, unit=unit, rate=None, eta_s=None)
    seconds = max((now() - job.started_at).total_seconds(), 1e-3)
    rate = here / seconds
    eta_s = round((total - done) / rate, 1)
    return Progress(done=done, total=total, unit=unit, rate=round(rate, 4), eta_s=eta_s)


def certificate(job: Job) -> CertificateLink | None:
    """Return where the certificate is, once it was issued."""
    if job.certificate_sha256 is None:
        return None
    return CertificateLink(href=f"/v1/jobs/{job.id}/certificate", sha256=job.certificate_sha256)


def etag(job: Job) -> str:
    """Return the weak validator of a job's document: the rate may differ under the same one."""
    return f'W/"{job.id}.{job.version}"'


def unchanged(job: Job, if_none_match: str | None) -> bool:
    """Whether the caller has the present version already."""
    if if_none_match is None:
        return False
    known = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return "*" in known or etag(job).removeprefix("W/") in known
