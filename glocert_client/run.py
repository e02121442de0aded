"""A certification run of the command line: uploads, jobs, waiting, and what becomes of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from glocert_client.client import Client
from glocert_client.console import progress_bars, show_summaries, stderr, stdout, write_json
from glocert_client.decision import Decision, Judgement, judge, overall
from glocert_client.errors import ClientError
from glocert_client.job import Job
from glocert_client.junit import Suite, Undecided, write
from glocert_client.latent import latent_parts
from glocert_client.uploads import Dataset, Model, Preprocessing, is_reference

LOOK_S = 1.0
INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """What belongs to a model beside its bytes."""

    preprocessing: Preprocessing
    format: str | None = None
    input_shape: Sequence[int] | None = None
    name: str | None = None
    role: str | None = None
    output: str | None = None
    threshold: float | None = None
    decision: str | None = None


@dataclass(frozen=True, slots=True)
class Judging:
    """What is made of finished jobs."""

    min_certified_rate: float | None
    allow_inconclusive: bool
    junit: Path | None
    undecided: Undecided
    as_json: bool
    min_vra: float | None = None


def find_model(client: Client, text: str, settings: ModelSettings) -> Model:
    """Return the ready model that a path, a reference or an id means; what is there already is found again.

    Raises:
        ClientError: none of them, or the model is rejected.
    """
    if not (is_reference(text) or Path(text).is_file()):
        return client.wait_ready(client.model(_id(text)))
    model = client.upload_model(
        text, name=settings.name, format=settings.format, input_shape=settings.input_shape,
        preprocessing=settings.preprocessing, role=settings.role, output=settings.output,
        threshold=settings.threshold, decision=settings.decision,
    )  # fmt: skip
    stderr().print(f"model {model.id} {'known already' if model.known else 'uploaded'}")
    return client.wait_ready(model)


def find_dataset(client: Client, text: str) -> Dataset:
    """Return the ready data set that a path or an id means.

    Raises:
        ClientError: neither a file nor an id, or the data set is rejected.
    """
    if not Path(text).is_file():
        return client.wait_ready(client.dataset(_id(text)))
    dataset = client.upload_dataset(text)
    stderr().print(f"data set {dataset.id} {'known already' if dataset.known else 'uploaded'}")
    return client.wait_ready(dataset)


def fill_latent(client: Client, bodies: Sequence[Mapping[str, Any]], through: Mapping[str, Any]) -> None:
    """Upload or find generator and encoder, and name them in the latent mutations; what is written stays."""
    parts = [one for body in bodies if "mutation" in body for one in latent_parts(body["mutation"])]
    named = dict(through["direction"])
    for role in ("generator", "encoder"):
        if through[role]:
            found = find_model(client, through[role], ModelSettings(Preprocessing(), role=role))
            named[f"{role}_id"] = found.id
    for part in parts:
        known = {"direction", "direction_id"} if {"direction_id", "axis"} & part.keys() else set()
        part.update({name: value for name, value in named.items() if name not in known})


def start(client: Client, model: Model, dataset: Dataset, bodies: Sequence[Mapping[str, Any]]) -> list[Job]:
    """Start a job per body; when one is refused, those before it are cancelled."""
    jobs: list[Job] = []
    try:
        for body in bodies:
            begin = client.certify_radius if "epsilons" in body else client.certify
            jobs.append(begin(model, dataset, **body))
            stderr().print(f"job {jobs[-1].id} {jobs[-1].title}", markup=False)
    except BaseException:
        cancel(jobs)
        raise
    return jobs


def show_started(jobs: Sequence[Job], *, as_json: bool) -> None:
    """Print what was started, for a run that does not wait."""
    if as_json:
        write_json([job.data for job in jobs])
    else:
        stdout().print("\n".join(job.id for job in jobs))


def conclude(client: Client, jobs: Sequence[Job], judging: Judging, *, ours: bool = True) -> int:
    """Wait for jobs, write every form of the answer that was asked for, and return the exit code.

    Args:
        client: the service.
        jobs: what to wait for.
        judging: how the answer is made and written.
        ours: whether an interruption cancels the jobs.
    """
    try:
        wait(jobs)
    except KeyboardInterrupt:
        cancel([job for job in jobs if ours and not job.finished])
        return INTERRUPTED
    judgements = [judge(job.data, judging.min_certified_rate, judging.min_vra) for job in jobs]
    decision = overall(judgements)
    lenient = judging.allow_inconclusive and decision is Decision.INCONCLUSIVE
    code = Decision.PASS if lenient else decision
    if judging.junit is not None:
        _write_junit(client, jobs, judging.junit, judging.undecided)
    if judging.as_json:
        write_json(machine_form(client, jobs, judgements, decision, code))
    else:
        show_summaries(jobs, judgements)
    return code


def cancel(jobs: Sequence[Job]) -> None:
    """Cancel what is not finished; one failure does not keep the others running."""
    for job in jobs:
        try:
            job.cancel()
            stderr().print(f"job {job.id} is being cancelled")
        except ClientError as error:
            stderr().print(f"job {job.id} could not be cancelled: {error}", markup=False)


def machine_form(
    client: Client, jobs: Sequence[Job], judgements: Sequence[Judgement], decision: Decision, code: int
) -> Mapping[str, Any]:
    """Return the document of ``--json``."""
    return {
        "decision": decision.word,
        "exit_code": int(code),
        "jobs": [
            {"decision": judgement.decision.word, "ground": judgement.ground,
             "url": client.url + job.path, "job": job.data}
            for job, judgement in zip(jobs, judgements, strict=True)
        ],
    }  # fmt: skip


def wait(jobs: Sequence[Job], titles: Sequence[str] = ()) -> None:
    """Wait for all jobs, with a bar for each on stderr; ``titles`` are those of the bars."""
    pending = [job for job in jobs if not job.finished]
    with progress_bars(jobs, titles) as update:
        while pending:
            for job in pending:
                update(job.refresh(wait_s=LOOK_S / len(pending)))
            pending = [job for job in pending if not job.finished]


def _write_junit(client: Client, jobs: Sequence[Job], path: Path, undecided: Undecided) -> None:
    names = {job.model_id: str(client.model(job.model_id).data["name"]) for job in jobs}
    suites = [
        Suite(job.data, list(job.results()), names[job.model_id], client.url + job.path) for job in jobs
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(write(suites, undecided=undecided))


def _id(text: str) -> str:
    # Ids are opaque, but none of them holds what paths do.
    if not text.replace("_", "").replace("-", "").isalnum():
        raise ClientError(f"{text!r} is neither a file nor an id of the service")
    return text
