"""Starting prechecks and finding them again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from app.datasets import service as datasets
from app.errors import NetworkNotReady
from app.jobs import planning
from app.jobs import service as jobs
from app.jobs.precheck import PrecheckJob
from app.keys.service import Caller
from app.networks import service as networks
from app.prechecks import repository
from app.settings import Settings
from models import Job, JobStatus, Network, UploadStatus


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a model, and with a data set.

    Attributes:
        network: the model, inspected.
        facts: what its inspection found.
        latest: its newest precheck with the data set, if there is one that did not fail.
        finished: the newest that has succeeded.
    """

    network: Network
    facts: dict[str, Any]
    latest: Job | None
    finished: Job | None


def start(session: Session, caller: Caller, body: PrecheckJob, settings: Settings) -> Job:
    """Queue a precheck, or return the one with the same settings.

    Raises:
        NotFound: there is no such model or data set.
        NetworkNotReady: it is not inspected yet, or rejected.
        DatasetNotReady: likewise.
        InvalidSpec: they cannot go together.
        TooManyJobs: the caller has as many unfinished jobs as the settings allow.
    """
    networks.get(session, caller, body.model_id)
    datasets.get(session, caller, body.dataset_id)
    wanted = _settings(planning.plan(session, caller, body, settings).spec)
    for job in repository.of_model(session, caller.owner, body.model_id, body.dataset_id):
        if _settings(job.spec) == wanted:
            return job
    return jobs.create(session, caller, body, None, settings)


def look(session: Session, caller: Caller, network_id: str, dataset_id: str | None) -> Seen:
    """Return what is known now.

    Raises:
        NotFound: there is no such model or data set.
        NetworkNotReady: the model is not inspected yet, or rejected.
    """
    network = networks.get(session, caller, network_id)
    if network.status != UploadStatus.READY or network.inspection is None:
        raise NetworkNotReady(f"The model is {network.status}.", extra={"rejection": network.rejection})
    if dataset_id is None:
        return Seen(network, network.inspection, None, None)
    datasets.get(session, caller, dataset_id)
    found = repository.of_model(session, caller.owner, network_id, dataset_id)
    finished = next((job for job in found if job.status == JobStatus.SUCCEEDED), None)
    return Seen(network, network.inspection, found[0] if found else None, finished)


def settled(session: Session, caller: Caller, network_id: str, dataset_id: str | None) -> bool:
    """Whether nothing is under way."""
    latest = look(session, caller, network_id, dataset_id).latest
    return latest is None or JobStatus(latest.status).final


def _settings(spec: dict[str, Any]) -> dict[str, Any]:
    """Return what decides about the answer."""
    return {name: spec[name] for name in ("model_id", "dataset_id", "inputs", "mutation")}
