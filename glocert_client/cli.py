"""The command ``glocert``.

Exit codes: 0 pass, 1 fail, 2 inconclusive, 3 deadline, 4 usage or service error, 130 interrupted.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import typer
from rich.markup import escape
from typer.exceptions import TyperException

from glocert_client import launch, run
from glocert_client.client import Client
from glocert_client.connection import LOCAL
from glocert_client.console import answering, show_rows, stderr, stdout, write_json
from glocert_client.decision import Decision
from glocert_client.directions import app as directions
from glocert_client.generating import train_generator
from glocert_client.making import predict, train, wrap
from glocert_client.options import (
    RADII,
    Along,
    Analysis,
    Arithmetic,
    Artifact,
    AsJson,
    BandWidth,
    DataOrId,
    Deadline,
    Detach,
    DistanceNorm,
    Encoders,
    Epsilons,
    Estimated,
    Folder,
    Format,
    Gap,
    Generators,
    Host,
    InputBudget,
    JobId,
    Junit,
    Key,
    LawText,
    Layout,
    LeastVra,
    Lenient,
    Limit,
    Local,
    Margin,
    Mean,
    Method,
    ModelOrId,
    ModelSource,
    Mutations,
    Name,
    Out,
    Output,
    Paired,
    Partition,
    Parts,
    Port,
    PropertyFile,
    PropertyModel,
    PropertyText,
    PropertyTimeout,
    Queues,
    Rate,
    ResultFile,
    Role,
    Scale,
    ServedRadius,
    Server,
    Shape,
    Std,
    Tags,
    Threshold,
    TopK,
    Tried,
    UndecidedAs,
    Verdict,
    Which,
    WorkerName,
    read_budget,
    read_law,
    read_mutations,
    read_preprocessing,
    read_property,
    read_questions,
    read_shape,
    read_tags,
    read_through,
)  # fmt: skip
from glocert_client.prechecks import show_precheck
from glocert_client.report import save

app = typer.Typer(
    help="Certify the robustness of neural networks with a GloCert service.",
    epilog="Exit codes: 0 pass, 1 fail, 2 inconclusive, 3 deadline, 4 usage or service error.",
    add_completion=False,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
)


@app.command()
def serve(port: Port = 8321, data: Folder = Path(".glocert")) -> None:
    """Run the whole service on this machine, from a checkout."""
    with answering(as_json=False):
        launch.become("workers.embedded", ["--port", str(port), "--data", str(data.absolute())])


@app.command()
def worker(queues: Queues = "inspection,certification", name: WorkerName = "") -> None:
    """Run a worker beside PostgreSQL and Redis, from a checkout; its settings are GLOCERT_* variables."""
    with answering(as_json=False):
        launch.become("workers", ["--queues", queues, *(["--name", name] if name else [])])


@app.command("predict-serve")
def predict_serve(
    artifact: Artifact, host: Host = "127.0.0.1", port: Port = 8322, epsilon: ServedRadius = None
) -> None:
    """Serve a wrapped network on this machine, once its manifest verifies: POST /v1/predict."""
    chosen = [] if epsilon is None else ["--epsilon", repr(epsilon)]
    with answering(as_json=False):
        launch.become(
            "glocert_predict", [str(artifact.absolute()), "--host", host, "--port", str(port), *chosen]
        )


@app.command()
def vnnlib(
    model: PropertyModel, question: PropertyFile, timeout: PropertyTimeout = 300.0, result: ResultFile = None
) -> None:
    """Decide a VNN-LIB property on this machine: sat, unsat, unknown or timeout, with a witness for sat."""
    written = [] if result is None else ["--result", str(result)]
    with answering(as_json=False):
        launch.become_core(
            "glocert.vnnlib", [str(model), str(question), "--timeout", repr(timeout), *written]
        )


@app.command()
def push(
    model: ModelSource,
    name: Name = "",
    mean: Mean = "",
    std: Std = "",
    layout: Layout = "",
    scale: Scale = None,
    input_shape: Shape = "",
    format: Format = "",  # noqa: A002 - the name of the option
    role: Role = "",
    output: Output = "",
    threshold: Threshold = None,
    decision: Which = "",
    as_json: AsJson = False,
    server: Server = LOCAL,
    key: Key = "",
) -> None:
    """Upload a model and wait until it is inspected."""
    settings = run.ModelSettings(
        read_preprocessing(mean, std, layout, scale), format or None, read_shape(input_shape), name or None,
        role or None, output or None, threshold, decision or None,
    )  # fmt: skip
    with answering(as_json), Client(server, key) as client:
        found = run.find_model(client, model, settings)
        if as_json:
            write_json(found.data)
        else:
            stdout().print(found.id)


@app.command()
def certify(
    model: ModelOrId,
    data: DataOrId,
    mutation: Mutations = None,
    generator: Generators = "",
    encoder: Encoders = "",
    direction: Along = "",
    epsilon: Epsilons = None,
    norm: DistanceNorm = "",
    method: Method = "",
    top_k: TopK = None,
    arithmetic: Arithmetic = "",
    limit: Limit = None,
    analysis: Analysis = "",
    parts: Parts = None,
    margin: Margin = None,
    gap: Gap = None,
    seconds_per_input: InputBudget = None,
    deadline: Deadline = None,
    partition: Partition = False,
    paired: Paired = False,
    law: LawText = "",
    band: BandWidth = None,
    property: PropertyText = "",  # noqa: A002 - the name of the option
    tag: Tags = None,
    mean: Mean = "",
    std: Std = "",
    layout: Layout = "",
    scale: Scale = None,
    input_shape: Shape = "",
    format: Format = "",  # noqa: A002 - the name of the option
    role: Role = "",
    output: Output = "",
    threshold: Threshold = None,
    decision: Which = "",
    min_certified_rate: Rate = None,
    min_vra: LeastVra = None,
    allow_inconclusive: Lenient = False,
    junit: Junit = None,
    undecided: UndecidedAs = "skip",
    as_json: AsJson = False,
    detach: Detach = False,
    server: Server = LOCAL,
    key: Key = "",
) -> None:
    """Upload a model and data, certify mutations or distances, and say pass or fail."""
    shared = {
        "limit": limit,
        "budget": read_budget(seconds_per_input, deadline),
        "tags": read_tags(tag or []),
        "arithmetic": arithmetic or None,
    }
    radii = method in RADII
    along = {"analysis": analysis or None, "method": None if radii else method or None, "parts": parts,
             "margin": margin, "gap": gap, "partition": partition or None, "paired": paired or None,
             "law": read_law(law), "property": read_property(property, band)}  # fmt: skip
    within = {"norm": norm or None, "method": method if radii else None,
              "relaxation": None if top_k is None else {"top_k": top_k}}  # fmt: skip
    bodies = read_questions(mutation or [], epsilon or [], shared, along, within, min_vra)
    settings = run.ModelSettings(
        read_preprocessing(mean, std, layout, scale), format or None, read_shape(input_shape), None,
        role or None, output or None, threshold, decision or None,
    )  # fmt: skip
    judging = run.Judging(min_certified_rate, allow_inconclusive, junit, undecided, as_json, min_vra)
    through = read_through(bodies, generator, encoder, direction)
    with answering(as_json), Client(server, key) as client:
        network = run.find_model(client, model, settings)
        run.fill_latent(client, bodies, through)
        jobs = run.start(client, network, run.find_dataset(client, data), bodies)
        if detach:
            run.show_started(jobs, as_json=as_json)
            return
        raise typer.Exit(run.conclude(client, jobs, judging))


@app.command()
def precheck(
    model: ModelOrId,
    data: DataOrId,
    limit: Tried = None,
    mutation: Estimated = "",
    mean: Mean = "",
    std: Std = "",
    layout: Layout = "",
    scale: Scale = None,
    input_shape: Shape = "",
    format: Format = "",  # noqa: A002 - the name of the option
    role: Role = "",
    output: Output = "",
    threshold: Threshold = None,
    decision: Which = "",
    as_json: AsJson = False,
    local: Local = False,
    server: Server = LOCAL,
    key: Key = "",
) -> None:
    """Show which preprocessing gives which accuracy and what a job would cost; nothing is certified."""
    paths = read_mutations([mutation])[0] if mutation else None
    settings = run.ModelSettings(
        read_preprocessing(mean, std, layout, scale), format or None, read_shape(input_shape), None,
        role or None, output or None, threshold, decision or None,
    )  # fmt: skip
    with answering(as_json), launch.reaching(server, local=local) as url, Client(url, key) as client:
        network = run.find_model(client, model, settings)
        job = client.precheck(network, run.find_dataset(client, data), limit=limit, mutation=paths)
        run.wait([job], ["precheck"])
        summary = job.require_success().summary or {}
        if as_json:
            write_json(summary)
        else:
            show_precheck(summary)


@app.command()
def watch(
    job: JobId,
    min_certified_rate: Rate = None,
    min_vra: LeastVra = None,
    allow_inconclusive: Lenient = False,
    junit: Junit = None,
    undecided: UndecidedAs = "skip",
    as_json: AsJson = False,
    server: Server = LOCAL,
    key: Key = "",
) -> None:
    """Wait for a job and say pass or fail, as certify does; interrupting leaves the job alone."""
    judging = run.Judging(min_certified_rate, allow_inconclusive, junit, undecided, as_json, min_vra)
    with answering(as_json), Client(server, key) as client:
        raise typer.Exit(run.conclude(client, [client.job(job)], judging, ours=False))


@app.command()
def cancel(job: JobId, as_json: AsJson = False, server: Server = LOCAL, key: Key = "") -> None:
    """Ask the service to stop a job."""
    with answering(as_json), Client(server, key) as client:
        found = client.job(job).cancel()
        if as_json:
            write_json(found.data)
        else:
            stdout().print(f"{found.id} {found.status}")


@app.command()
def resume(job: JobId, as_json: AsJson = False, server: Server = LOCAL, key: Key = "") -> None:
    """Go on with a job that was cancelled, ran out of its budget or lost its worker; its rows stay."""
    with answering(as_json), Client(server, key) as client:
        found = client.resume(job)
        if as_json:
            write_json(found.data)
        else:
            stdout().print(f"{found.id} {found.status}")


@app.command()
def results(
    job: JobId, verdict: Verdict = "", as_json: AsJson = False, server: Server = LOCAL, key: Key = ""
) -> None:
    """Show a row per input; also while the job runs."""
    with answering(as_json), Client(server, key) as client:
        rows = client.job(job).results(verdict=verdict or None)
        if as_json:
            write_json(list(rows))
        else:
            show_rows(rows)


@app.command()
def report(
    job: JobId, out: Out = None, as_json: AsJson = False, server: Server = LOCAL, key: Key = ""
) -> None:
    """Save job, results, certificate and pictures to a folder."""
    with answering(as_json), Client(server, key) as client:
        paths = [str(path) for path in save(client.job(job), out or Path(job))]
        if as_json:
            write_json(paths)
        else:
            stdout().print("\n".join(paths), markup=False, soft_wrap=True)


app.add_typer(directions, name="directions")
app.command()(wrap)
app.command()(predict)
app.command()(train)
app.command("train-generator")(train_generator)


def respond(arguments: Sequence[str]) -> int:
    """Run a command line and return its exit code."""
    try:
        code = int(app(list(arguments), standalone_mode=False, prog_name="glocert") or Decision.PASS)
        sys.stdout.flush()
    except TyperException as error:
        if message := error.format_message():
            stderr().print(f"[bold red]error:[/] {escape(message)}\nTry: glocert --help")
        return Decision.ERROR
    except (BrokenPipeError, SystemExit):
        # The reader of the pipe has gone; typer makes an exit with 1 of it, which means something else here.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Decision.ERROR
    return code


def main() -> None:
    """Entry point of the console script."""
    sys.exit(respond(sys.argv[1:]))


if __name__ == "__main__":
    main()
