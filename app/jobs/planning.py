"""What a request needs, looked up and compared before anything is queued: one plan per kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.orm import Session

from app.datasets import service as datasets
from app.db import store_of
from app.directions import service as directions
from app.errors import NetworkNotReady, NotFound
from app.jobs import answering, fitting, generating, learning, prospecting, repository, subjects
from app.jobs.fitting import Asked
from app.jobs.generators import DatasetTarget, GeneratorTraining
from app.jobs.gloro import GloroTraining, GloroWrap
from app.jobs.mining import STAGES, DirectionMining
from app.jobs.precheck import PrecheckJob
from app.jobs.prediction import WHOLE_JOB, WRAPPED, GloroPrediction
from app.jobs.schemas import JobBody, SegmentCertification
from app.keys.service import Caller
from app.networks import service as networks
from app.settings import Settings
from glocert.errors import InvalidSpec
from models import Artifact, Network, UploadStatus

DEFAULT_S = 3600.0


@dataclass(frozen=True, slots=True)
class Plan:
    """A request that fits.

    Attributes:
        spec: with every default filled in.
        total: inputs, epochs or files: what progress counts.
        network_id: of the model that must stay while the job runs.
        dataset_id: of the data that must stay.
        validation_dataset_id: of the data for validation, or of a style, that must stay.
        indices: inputs that are looked at.
        files: of another job, which the new one keeps for itself.
        networks: other models that must stay: role -> id.
    """

    spec: dict[str, Any]
    total: int
    network_id: str | None = None
    dataset_id: str | None = None
    validation_dataset_id: str | None = None
    indices: list[int] = field(default_factory=list)
    files: list[Artifact] = field(default_factory=list)
    networks: Mapping[str, str] = field(default_factory=dict)


def plan(session: Session, caller: Caller, body: JobBody, settings: Settings) -> Plan:
    """Look up what a request names, and compare it.

    Raises:
        NotFound: there is no such network or data set.
        NetworkNotReady: it is not inspected yet, or rejected.
        DatasetNotReady: likewise.
        LimitExceeded: a training would make a model more than the owner may have.
        InvalidSpec: request, network and data do not fit together.
    """
    if isinstance(body, GloroWrap):
        return _wrap(session, caller, body, settings)
    if isinstance(body, GloroTraining):
        return _training(session, caller, body, settings)
    if isinstance(body, GeneratorTraining):
        return _generator(session, caller, body, settings)
    if isinstance(body, GloroPrediction) and body.wrap_job_id is not None:
        return _prediction(session, caller, body, body.wrap_job_id, settings)
    if isinstance(body, DirectionMining):
        return _mining(session, caller, body, settings)
    return _inputs(session, caller, body, settings)


def _prediction(
    session: Session, caller: Caller, body: GloroPrediction, wrap_job_id: str, settings: Settings
) -> Plan:
    """Plan answers by the files of a job that has wrapped a network."""
    job = repository.get(session, caller.owner, wrap_job_id)
    if job is None:
        raise NotFound(f"There is no job {wrap_job_id}.")
    files = repository.files(session, job.id, WHOLE_JOB)
    dataset = datasets.get(session, caller, body.dataset_id)
    items = answering.check(body, job, files, dataset, settings, store_of(session))
    indices = fitting.chosen(body.inputs, items, settings.max_predicted)
    spec = body.stored(_seconds(body.budget.seconds, settings))
    kept = [file for file in files if file.name in WRAPPED]
    return Plan(spec, len(indices), dataset_id=dataset.id, indices=indices, files=kept)


def _inputs(session: Session, caller: Caller, body: Asked, settings: Settings) -> Plan:
    assert body.model_id is not None
    network = networks.get(session, caller, body.model_id)
    dataset = datasets.get(session, caller, body.dataset_id)
    of = subjects.opened(network, dataset, store_of(session))
    chosen = fitting.indices(body, of, settings)
    others: dict[str, str] = {}
    if isinstance(body, SegmentCertification | PrecheckJob):
        body, others = generating.resolved(session, caller, body, of, settings)
    fitting.check(body, of, chosen, settings)
    if isinstance(body, PrecheckJob):
        spec = body.stored(settings.max_job_s)
    else:
        spec = body.stored(_seconds(body.budget.seconds, settings))
    return Plan(spec, len(chosen), network.id, dataset.id, indices=chosen, networks=others)


def _wrap(session: Session, caller: Caller, body: GloroWrap, settings: Settings) -> Plan:
    network = _ready(networks.get(session, caller, body.model_id))
    offences = [
        *fitting.role(network, ["classifier"]),
        *fitting.admitted(network, "lipschitz"),
        *fitting.budget(body.budget, settings),
    ]
    if offences:
        raise InvalidSpec(offences[0].detail, offences)
    spec = body.stored(_seconds(body.budget.seconds, settings))
    return Plan(spec, len(body.formats), network.id)


def _training(session: Session, caller: Caller, body: GloroTraining, settings: Settings) -> Plan:
    network = None
    if body.from_model_id is not None:
        network = _ready(networks.get(session, caller, body.from_model_id))
    data = datasets.get(session, caller, body.dataset_id)
    held_out = None
    if body.validation_dataset_id is not None:
        held_out = datasets.get(session, caller, body.validation_dataset_id)
    learning.check(body, network, data, held_out, settings, store_of(session))
    networks.refuse_too_many(session, caller, settings.max_models)
    spec = body.stored(_seconds(body.budget.seconds, settings))
    held_out_id = None if held_out is None else held_out.id
    return Plan(spec, spec["epochs"], body.from_model_id, data.id, held_out_id)


def _mining(session: Session, caller: Caller, body: DirectionMining, settings: Settings) -> Plan:
    generator = _ready(networks.get(session, caller, body.generator_id))
    encoder = None if body.encoder_id is None else _ready(networks.get(session, caller, body.encoder_id))
    data = None if body.dataset_id is None else datasets.get(session, caller, body.dataset_id)
    site = prospecting.site(generator, encoder, data, store_of(session))
    chosen = prospecting.indices(body, site)
    vectors = prospecting.vectors(session, caller, body, generator)
    prospecting.check(body, site, chosen, vectors, settings)
    directions.refuse_too_many(session, caller, body.count, settings.max_kept_directions)
    spec = body.stored(_seconds(body.budget.seconds, settings), vectors)
    others = {} if encoder is None else {"encoder": encoder.id}
    data_id = None if data is None else data.id
    return Plan(spec, STAGES, generator.id, data_id, indices=chosen, networks=others)


def _generator(session: Session, caller: Caller, body: GeneratorTraining, settings: Settings) -> Plan:
    data, target = datasets.get(session, caller, body.dataset_id), None
    if isinstance(body.target, DatasetTarget):
        target = datasets.get(session, caller, body.target.dataset_id)
    learning.check_generator(body, data, target, settings, store_of(session))
    networks.refuse_too_many(session, caller, settings.max_models, more=2)
    spec = body.stored(_seconds(body.budget.seconds, settings))
    return Plan(spec, body.total_epochs, None, data.id, None if target is None else target.id)


def _ready(network: Network) -> Network:
    if network.status != UploadStatus.READY or network.inspection is None:
        raise NetworkNotReady(f"The model is {network.status}.", extra={"rejection": network.rejection})
    return network


def _seconds(asked: float | None, settings: Settings) -> float:
    return asked or min(DEFAULT_S, settings.max_job_s)
