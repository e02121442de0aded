"""What happens to networks."""

from __future__ import annotations

import hashlib
from pathlib import PurePath
from typing import Any

import rfc8785
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app import paging
from app.blobs import service as blobs
from app.directions import repository as directions
from app.errors import InUse, LimitExceeded, NotFound
from app.jobs import repository as jobs
from app.keys.service import Caller
from app.networks import repository
from app.networks.schemas import NetworkFilter, NetworkSettings, PreprocessingBody, Role
from app.paging import Page
from app.storage import Blob, Incoming
from app.units import service as units
from models import Network, UnitKind, UploadStatus


def create(
    session: Session,
    caller: Caller,
    file: Incoming,
    filename: str,
    form: NetworkSettings,
    max_models: int,
    reference: dict[str, str] | None = None,
) -> tuple[Network, bool]:
    """Store a network and queue its inspection; return it, and whether it is new.

    Args:
        session: the transaction.
        caller: whose network it becomes.
        file: its bytes, not kept yet.
        filename: what they are called.
        form: everything else that is said of them.
        max_models: how many the owner may have.
        reference: where the bytes were fetched from; a network that was uploaded before is given it.

    Raises:
        LimitExceeded: the owner has as many as the settings allow.
    """
    identity = _identity(file.sha256, form)
    known = repository.by_identity(session, caller.owner, identity)
    if known is not None:
        known.reference = known.reference or reference
        return known, False
    refuse_too_many(session, caller, max_models)
    network = _new(caller.owner, file, filename, form, identity)
    network.reference = reference
    try:
        repository.add(session, network)
    except IntegrityError:
        return _required(repository.by_identity(session, caller.owner, identity)), False
    blobs.keep(session, file)
    units.queue_inspection(session, UnitKind.INSPECT_NETWORK, network.id)
    return network, True


def refuse_too_many(session: Session, caller: Caller, max_models: int, more: int = 1) -> None:
    """Refuse one more network, or so many more.

    Raises:
        LimitExceeded: the owner has as many as the settings allow.
    """
    count = repository.count(session, caller.owner)
    if count + more > max_models:
        raise LimitExceeded(
            f"You have {count} models, and {max_models} is the limit.",
            extra={"limit": max_models, "setting": "max_models"},
        )


def preprocessing_of(session: Session, network_id: str) -> dict[str, Any]:
    """Return the preprocessing of a network that a job holds."""
    return session.get_one(Network, network_id).preprocessing


def add_made(
    session: Session,
    owner: str,
    file: Blob,
    filename: str,
    name: str,
    preprocessing: dict[str, Any] | None = None,
    *,
    role: Role = "classifier",
    card: dict[str, Any] | None = None,
) -> Network:
    """Add a network that a job has made, as if it had been uploaded; the same bytes are the same network.

    The place was counted when the job was queued, so that no training ends without its model.

    Args:
        session: the transaction.
        owner: whose network it becomes.
        file: an ONNX file that is stored already.
        filename: what it is called.
        name: shown in lists.
        preprocessing: of the network that it was made from; plain by default.
        role: what it is for.
        card: what is known of it; the network that is there already gets it, too.
    """
    settings = PreprocessingBody.model_validate(preprocessing or {})
    form = NetworkSettings(name=name, format="onnx", preprocessing=settings, role=role)
    identity = _identity(file.sha256, form)
    known = repository.by_identity(session, owner, identity)
    if known is not None:
        known.card = card or known.card
        return known
    network = _new(owner, file, filename, form, identity)
    network.card = card or network.card
    try:
        repository.add(session, network)
    except IntegrityError:
        return _required(repository.by_identity(session, owner, identity))
    units.queue_inspection(session, UnitKind.INSPECT_NETWORK, network.id)
    return network


def get(session: Session, caller: Caller, network_id: str) -> Network:
    """Return a network of the caller's.

    Raises:
        NotFound: there is none.
    """
    network = repository.get(session, caller.owner, network_id)
    if network is None:
        raise NotFound(f"There is no model {network_id}.")
    return network


def list_networks(session: Session, caller: Caller, wanted: NetworkFilter, limit: int) -> Page[Network]:
    """Return a page of the caller's networks."""
    rows = repository.page(session, caller.owner, wanted, paging.read_after(wanted.cursor), limit + 1)
    return paging.page(rows, limit, lambda row: paging.encode(row.created_at.isoformat(), row.id))


def delete(session: Session, caller: Caller, network_id: str) -> None:
    """Delete a network, and the directions of a generator; finished jobs keep what they found.

    Raises:
        NotFound: there is none.
        InUse: jobs that have not finished need it.
    """
    network = get(session, caller, network_id)
    _refuse_when_busy(session, network_id)
    jobs.forget_network(session, network_id)
    previews = directions.previews_of(session, network_id)
    try:
        repository.remove(session, network)
    except IntegrityError:
        _refuse_when_busy(session, network_id)
        raise
    blobs.release_after_commit(session, [network.sha256, *previews], [network.graph_sha256])


def _refuse_when_busy(session: Session, network_id: str) -> None:
    busy = jobs.unfinished_with(session, network_id=network_id)
    if busy:
        raise InUse(f"Jobs that have not finished need the model: {', '.join(busy)}.", extra={"jobs": busy})


def record_inspection(
    session: Session,
    network_id: str,
    report: dict[str, Any] | None,
    problem: dict[str, Any] | None,
    graph_sha256: str | None,
) -> None:
    """Write down what inspection found: a report and the digest of the graph, or the problem."""
    network = repository.for_inspection(session, network_id)
    if network is None or network.status != UploadStatus.UPLOADED:
        return  # deleted meanwhile, or recorded by another worker
    network.inspection, network.rejection = report, problem
    ready = problem is None and graph_sha256 is not None
    network.graph_sha256 = graph_sha256 if ready else None
    network.status = UploadStatus.READY if ready else UploadStatus.REJECTED


def _identity(sha256: str, form: NetworkSettings) -> str:
    """Hash what makes a network; members that came later count only where they are used."""
    settings: dict[str, Any] = {
        "sha256": sha256,
        "role": form.role,
        "format": form.format,
        "input_shape": form.input_shape,
        "classes": form.classes,
        "preprocessing": form.preprocessing.canonical(),
    }
    later = {"output": form.output, "threshold": form.threshold, "prior": form.prior}
    settings |= {name: value for name, value in later.items() if value is not None}
    if form.decision != "max":
        settings["decision"] = form.decision
    return hashlib.sha256(rfc8785.dumps(settings)).hexdigest()


def _new(owner: str, file: Incoming | Blob, filename: str, form: NetworkSettings, identity: str) -> Network:
    return Network(
        owner=owner,
        identity=identity,
        name=form.name or PurePath(filename).stem or filename,
        filename=filename,
        role=form.role,
        format=form.format,
        sha256=file.sha256,
        size_bytes=file.size_bytes,
        input_shape=form.input_shape,
        classes=form.classes,
        preprocessing=form.preprocessing.canonical(),
        output=form.output,
        threshold=form.threshold,
        decision=form.decision,
        card={"prior": form.prior or "normal"} if form.role == "generator" else None,
    )


def _required(network: Network | None) -> Network:
    if network is None:
        raise RuntimeError("the network that stood in the way is gone again")
    return network
