"""Issuing certificates and handing them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import rfc8785
from sqlalchemy.orm import Session

from app.certificates import lipschitz_statement, repository, statement
from app.db import store_of
from app.errors import CertificateNotIssued
from app.jobs import lipschitz
from app.jobs.schemas import CERTIFYING
from models import Job

COUNTEREXAMPLE = "counterexample.png"


def issue(session: Session, job: Job, rows: Sequence[Mapping[str, Any]]) -> str:
    """Store the statement about a finished job as canonical JSON and return its digest."""
    network, dataset = repository.parties(session, job)
    if job.kind == lipschitz.KIND:
        document = lipschitz_statement.build(job, network, dataset, rows)
    else:
        pictures = repository.picture_digests(session, job.id, COUNTEREXAMPLE)
        others = repository.other_networks(session, job)
        document = statement.build(job, network, dataset, rows, pictures, others)
    return store_of(session).put([rfc8785.dumps(document)]).sha256


def read(session: Session, job: Job) -> bytes:
    """Return the canonical bytes of a job's certificate.

    Raises:
        CertificateNotIssued: the job has not succeeded.
    """
    if job.kind not in CERTIFYING:
        name = job.kind.replace("-", " ")
        raise CertificateNotIssued(f"A {name} certifies nothing: only certification jobs have certificates.")
    if job.certificate_sha256 is None:
        raise CertificateNotIssued(f"The job is {job.status}; only one that succeeded has a certificate.")
    return store_of(session).path(job.certificate_sha256).read_bytes()
