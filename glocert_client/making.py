"""The commands that make models: wrap one for production, train one for a certified radius."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from glocert_client import run
from glocert_client.client import Client
from glocert_client.connection import LOCAL
from glocert_client.console import answering, stdout, write_json
from glocert_client.decision import Decision, Judgement, judge
from glocert_client.errors import ClientError
from glocert_client.job import Job
from glocert_client.options import (
    AnswerFormat,
    Architecture,
    AsJson,
    DataOrId,
    Deadline,
    Detach,
    Epochs,
    Formats,
    FromModel,
    Key,
    Layout,
    LeastVra,
    Limit,
    Loss,
    Mean,
    ModelOrId,
    Others,
    OutFolder,
    PredictorOrId,
    Radii,
    Radius,
    Scale,
    Seed,
    Server,
    Shape,
    Std,
    Tags,
    Validation,
    read_budget,
    read_preprocessing,
    read_settings,
    read_shape,
    read_tags,
)  # fmt: skip
from glocert_client.report import safe_name

NOT_FOR_USERS = frozenset({"checkpoint"})


def wrap(
    model: ModelOrId,
    epsilon: Radius,
    out: OutFolder,
    to: Formats = None,
    deadline: Deadline = None,
    tag: Tags = None,
    mean: Mean = "",
    std: Std = "",
    layout: Layout = "",
    scale: Scale = None,
    input_shape: Shape = "",
    as_json: AsJson = False,
    server: Server = LOCAL,
    key: Key = "",
) -> None:
    """Make files that answer the class where it is certified, and bottom elsewhere."""
    settings = run.ModelSettings(
        read_preprocessing(mean, std, layout, scale), input_shape=read_shape(input_shape)
    )
    with answering(as_json), Client(server, key) as client:
        network = run.find_model(client, model, settings)
        job = client.wrap(
            network, epsilon, formats=to, budget=read_budget(None, deadline), tags=read_tags(tag or [])
        )
        raise typer.Exit(conclude(job, out, None, as_json=as_json))


def predict(
    source: PredictorOrId,
    data: DataOrId,
    out: OutFolder,
    epsilon: Radii = None,
    file_format: AnswerFormat = "npz",
    limit: Limit = None,
    deadline: Deadline = None,
    tag: Tags = None,
    mean: Mean = "",
    std: Std = "",
    layout: Layout = "",
    scale: Scale = None,
    input_shape: Shape = "",
    as_json: AsJson = False,
    server: Server = LOCAL,
    key: Key = "",
) -> None:
    """Answer a data set with a wrapped network: class or bottom, margin and radius per item, in one file."""
    settings = run.ModelSettings(
        read_preprocessing(mean, std, layout, scale), input_shape=read_shape(input_shape)
    )
    with answering(as_json), Client(server, key) as client:
        wrapped = source if source.startswith("job_") else run.find_model(client, source, settings)
        job = client.predict(
            wrapped, run.find_dataset(client, data), epsilon or None, limit=limit, format=file_format,
            budget=read_budget(None, deadline), tags=read_tags(tag or []),
        )  # fmt: skip
        raise typer.Exit(conclude(job, out, None, as_json=as_json))


def train(
    data: DataOrId,
    epsilon: Radius,
    out: OutFolder,
    architecture: Architecture = "",
    from_model: FromModel = "",
    validation: Validation = "",
    epochs: Epochs = None,
    loss: Loss = "",
    seed: Seed = None,
    others: Others = None,
    deadline: Deadline = None,
    tag: Tags = None,
    mean: Mean = "",
    std: Std = "",
    layout: Layout = "",
    scale: Scale = None,
    min_vra: LeastVra = None,
    as_json: AsJson = False,
    detach: Detach = False,
    server: Server = LOCAL,
    key: Key = "",
) -> None:
    """Train a network for a certified radius, from scratch or from a model; save it, and say pass or fail."""
    members = read_settings(
        others, deadline, tag, architecture=architecture or None, epochs=epochs, loss=loss or None, seed=seed
    )
    settings = run.ModelSettings(read_preprocessing(mean, std, layout, scale))
    with answering(as_json), Client(server, key) as client:
        begun = run.find_model(client, from_model, settings) if from_model else None
        held_out = run.find_dataset(client, validation) if validation else None
        job = client.train(
            run.find_dataset(client, data), epsilon, from_model=begun, validation=held_out, **members
        )
        if detach:
            run.show_started([job], as_json=as_json)
            return
        raise typer.Exit(conclude(job, out, min_vra, as_json=as_json))


def conclude(job: Job, out: Path, min_vra: float | None, *, as_json: bool) -> int:
    """Wait, save the files, show what became of it, and return the exit code."""
    try:
        run.wait([job])
    except KeyboardInterrupt:
        run.cancel([] if job.finished else [job])
        return run.INTERRUPTED
    judgement = _judge(job, min_vra)
    paths = save_files(job, out) if job.status == "succeeded" else []
    if as_json:
        write_json({
            "decision": judgement.decision.word, "exit_code": int(judgement.decision),
            "ground": judgement.ground, "files": [str(path) for path in paths], "job": job.data,
        })  # fmt: skip
    else:
        stdout().print(f"{job.id}  {judgement.ground}", markup=False)
        stdout().print("\n".join(map(str, paths)), markup=False, soft_wrap=True)
    return judgement.decision


def _judge(job: Job, min_vra: float | None) -> Judgement:
    """Decide about a job that makes something: it passes when that is there, and as good as asked for."""
    if job.status != "succeeded":
        return judge(job.data, None)
    summary = job.summary or {}
    if "generator_id" in summary:
        return Judgement(Decision.PASS, f"{summary['generator_id']}  {_qualities(summary)}")
    found = (summary.get("validation") or {}).get("float32")
    if "answered" in summary:
        return Judgement(Decision.PASS, _rates(summary))
    if found is None:
        return Judgement(Decision.PASS, f"{job.title}: {len(summary['artifacts'])} files")
    if min_vra is not None:
        return judge(job.data | {"summary": found}, None, min_vra)
    return Judgement(Decision.PASS, f"{summary['model_id']}  {_figures(summary['validation'])}")


def _rates(summary: Mapping[str, Any]) -> str:
    """Say how many inputs got a class, and how many of those the right one, where that is known."""
    total = summary["inputs"]
    said = [f"{count} of {total} answered at {key}" for key, count in summary["answered"].items()]
    right = [f"VRA {vra:.1%} at {epsilon}" for epsilon, vra in (summary["vra"] or {}).items()]
    return ", ".join(said + right)


def _qualities(summary: Mapping[str, Any]) -> str:
    rebuilt, index = summary["reconstruction"], summary["continuity"]["index"]
    return (
        f"encoder {summary['encoder_id']}, {rebuilt['psnr_db']['mean']:.1f} dB "
        f"on {rebuilt['images']} images, gain within {index:.2f} times its median"
    )


def _figures(validation: Mapping[str, Any]) -> str:
    (epsilon, vra), *_ = validation["float32"]["vra"].items()
    accuracy = validation["clean_accuracy"]
    return f"clean accuracy {accuracy:.1%}, VRA {vra:.1%} at {epsilon} on {validation['inputs']} inputs"


def save_files(job: Job, out: Path) -> list[Path]:
    """Write the files of a job, compared with the digests that the service gives for them.

    Raises:
        ClientError: a file is not what the service says it is.
    """
    out.mkdir(parents=True, exist_ok=True)
    paths = []
    for file in job.artifacts():
        if file["name"] in NOT_FOR_USERS:
            continue
        content = job.download(file["href"])
        if hashlib.sha256(content).hexdigest() != file["sha256"]:
            raise ClientError(f"{file['name']} does not have the digest that the service gives for it")
        paths.append(out / safe_name(str(file["name"])))
        paths[-1].write_bytes(content)
    return paths
