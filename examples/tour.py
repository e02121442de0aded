"""The main job through the HTTP API, on a digit classifier that is shipped in both formats.

``python -m examples.tour --url http://127.0.0.1:8321`` needs a running service and nothing else.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from glocert_client import Client, ClientError, Dataset, Job, Model
from glocert_client.console import extent_of, extents, mass_of, plain_table, show_error, stdout, text_of
from glocert_client.decision import VERDICTS
from glocert_client.junit import describe_counterexample
from glocert_client.mutation import describe_mutation, parse_mutation
from glocert_client.run import wait

SAMPLES = Path(__file__).with_name("digits")
MUTATIONS = ("brightness=0.3", "contrast=0.4", "fog=0.4,seed=1", "rotation=20")
DIGITS = 60
LEANING = SAMPLES / "leaning.json"
"""a direction of the generator, found by ``examples.mine_direction``"""
LEANT = 10
QUICK = {"steps": 50, "restarts": 1}
"""less than a job spends on the code of an input by default: the encoder's own is close"""


@dataclass(frozen=True, slots=True)
class Run:
    """A finished job, its rows, and the format of its model."""

    job: Job
    rows: Sequence[Mapping[str, Any]]
    format: str


def main() -> int:
    """Run the tour and return the exit code."""
    data = Path(os.environ.get("GLOCERT_DATA_DIR", ".glocert"))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url", default=os.environ.get("GLOCERT_URL", "http://127.0.0.1:8321"))
    parser.add_argument("--key", default=os.environ.get("GLOCERT_KEY", ""))
    parser.add_argument("--out", type=Path, default=data / "tour", help="Folder of the picture.")
    arguments = parser.parse_args()
    try:
        with Client(arguments.url, arguments.key) as client:
            return tour(client, arguments.out)
    except ClientError as error:
        show_error(error)
        return 4


def tour(client: Client, out: Path) -> int:
    """Upload, certify, show."""
    console, begun = stdout(), time.monotonic()
    console.print(f"\n[bold]A tour of GloCert[/] at {client.url}")
    onnx, torchscript, dataset = upload(client, console)
    mutations = [parse_mutation(text) for text in MUTATIONS]
    jobs = [client.certify(onnx, dataset, mutation, limit=DIGITS) for mutation in mutations]
    jobs.append(client.certify(torchscript, dataset, mutations[0], limit=DIGITS))
    formats = ["ONNX"] * len(mutations) + ["TorchScript"]
    pairs = list(zip(jobs, formats, strict=True))
    leaning = lean(client, onnx, dataset)
    titles = [f"{describe_mutation(job.mutation)} ({kind})" for job, kind in pairs]
    wait([*jobs, leaning], [*titles, "leaning, through a generator"])
    runs = [Run(job.require_success(), list(job.results()), kind) for job, kind in pairs]
    show(console, runs)
    agreed = compare(console, runs[0], runs[-1])
    show_leaning(console, leaning)
    save_counterexample(console, runs, out)
    show_addresses(console, client, runs[0].job)
    console.print(f"The tour took {time.monotonic() - begun:.1f} s.\n")
    return 0 if agreed else 1


def upload(client: Client, console: Console) -> tuple[Model, Model, Dataset]:
    """Upload both formats and the digits, and wait until they are inspected."""
    models = [client.upload_model(SAMPLES / name) for name in ("digits.onnx", "digits.torchscript.pt")]
    dataset = client.upload_dataset(SAMPLES / "digits.npz")
    onnx, torchscript = (client.wait_ready(model) for model in models)
    for model in (onnx, torchscript):
        operators = ", ".join(f"{name} x{count}" for name, count in sorted(model.data["operators"].items()))
        console.print(f"model    {model.id}  {model.data['name']}: {escape(operators)}", soft_wrap=True)
    dataset = client.wait_ready(dataset)
    console.print(f"data set {dataset.id}  {dataset.data['name']}: {dataset.data['items']} digits")
    return onnx, torchscript, dataset


def show(console: Console, runs: Sequence[Run]) -> None:
    """Print a row per job; the extent is the least, the median and the largest over the inputs."""
    extent = "certified to\nleast / median / most"
    titles = ("mutation", "model", *VERDICTS, "clean\naccuracy", "robust\nmass", extent)
    table = plain_table(titles, left={"mutation", "model"})
    for run in runs:
        summary = run.job.summary or {}
        table.add_row(
            escape(describe_mutation(run.job.mutation)), run.format,
            *(str(summary[verdict]) for verdict in VERDICTS),
            f"{summary['clean_accuracy']:.1%}", mass_of(summary), extents(run.rows),
        )  # fmt: skip
    console.print(table)
    for warning in {text_of(warning) for run in runs for warning in run.job.data["warnings"]}:
        console.print(f"[yellow]warning:[/] {escape(warning)}")


def compare(console: Console, one: Run, other: Run) -> bool:
    """Say whether the two formats of the same network got the same verdicts."""
    pairs = list(zip(one.rows, other.rows, strict=True))
    different = [row["index"] for row, twin in pairs if row["verdict"] != twin["verdict"]]
    if different:
        console.print(f"[red]{one.format} and {other.format} disagree on inputs {different}[/]")
    else:
        console.print(f"{one.format} and {other.format} agree on all {len(pairs)} verdicts.")
    return not different


def lean(client: Client, model: Model, dataset: Dataset) -> Job:
    """Certify a mutation without a formula: along a direction in which a generator makes digits lean."""
    roles = ("generator", "encoder")
    uploads = [client.upload_model(SAMPLES / f"{role}.onnx", role=role) for role in roles]
    generator, encoder = map(client.wait_ready, uploads)
    found = json.loads(LEANING.read_text())
    path = {
        "type": "latent", "generator_id": generator.id, "encoder_id": encoder.id, "encoding": QUICK,
        **{member: found[member] for member in ("extent", "scale")}, "direction": found["vector"],
    }  # fmt: skip
    return client.certify(model, dataset, path, limit=LEANT)


def show_leaning(console: Console, job: Job) -> None:
    """Print the verdicts of the digits that lean."""
    counts = job.require_success().summary or {}
    said = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
    by = json.loads(LEANING.read_text())["mutation"]["to"]
    console.print(f"Leaning as if sheared by {by}, through a generator, {LEANT} digits: {said}.")


def save_counterexample(console: Console, runs: Sequence[Run], out: Path) -> None:
    """Save the picture of the counterexample whose input is certified least far."""
    found = [(run, row) for run in runs for row in run.rows if row.get("counterexample")]
    if not found:
        console.print("No counterexample: nothing was falsified.")
        return
    run, row = min(found, key=lambda pair: float((pair[1].get("certified_to") or {"t": 0.0})["t"]))
    out.mkdir(parents=True, exist_ok=True)
    path = out / f"counterexample-{run.job.mutation['type']}-input-{row['index']}.png"
    path.write_bytes(run.job.picture(row["index"]))
    console.print(
        f"Input {row['index']} is certified to {extent_of(row)} and {describe_counterexample(row)}:"
    )
    console.print(f"  {path}", soft_wrap=True)


def show_addresses(console: Console, client: Client, job: Job) -> None:
    """Print where to go on."""
    for title, path in (
        ("API docs", "/docs"),
        ("job", job.path),
        ("certificate", f"{job.path}/certificate"),
    ):
        console.print(f"{title:<12} {client.url}{path}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
