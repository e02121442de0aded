"""What people and programs read: tables and JSON on stdout, progress and errors on stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from glocert_client.decision import VERDICTS, Decision, Judgement
from glocert_client.errors import ClientError, ProblemError, ServiceError
from glocert_client.job import Job
from glocert_client.junit import describe_counterexample, describe_parameters, describe_reason
from glocert_client.radial import RADIAL, RADIAL_TITLES, radial_cells

PIPE_WIDTH = 160
"""columns when stdout is no terminal: a table in a log must not be cut to 80"""

STYLES = {"certified": "green", "falsified": "red", "undecided": "yellow", "skipped": "dim"}
PLACES = ("where", "pointer", "parameter", "header")
"""how problem documents name what is at fault"""
SEGMENT_TITLES = ("mutation", *VERDICTS, "clean acc.", "robust mass", "seconds", "decision")
JUDGED = {Decision.PASS: "green", Decision.FAIL: "red"}


def stdout() -> Console:
    """Return the console of results."""
    return Console(highlight=False, width=None if sys.stdout.isatty() else PIPE_WIDTH)


def stderr() -> Console:
    """Return the console of progress and errors."""
    return Console(stderr=True, highlight=False, soft_wrap=True)


def write_json(document: Any) -> None:
    """Write one JSON document to stdout."""
    sys.stdout.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


@contextmanager
def answering(as_json: bool) -> Iterator[None]:
    """Turn the client's errors into a message, a JSON document if wanted, and exit code 4."""
    try:
        yield
    except ClientError as error:
        show_error(error)
        if as_json:
            problem = error.problem if isinstance(error, ProblemError) else {"detail": str(error)}
            write_json({"decision": "error", "exit_code": int(Decision.ERROR), "problem": problem})
        raise typer.Exit(Decision.ERROR) from None


def show_error(error: ClientError) -> None:
    """Say what went wrong, with everything at fault, on stderr."""
    console = stderr()
    if not isinstance(error, ProblemError):
        console.print(f"[bold red]error:[/] {escape(str(error))}")
        return
    status = f" [dim](HTTP {error.status}, {error.code})[/]" if isinstance(error, ServiceError) else ""
    code = status or f" [dim]({escape(error.code)})[/]"
    console.print(f"[bold red]error:[/] {escape(error.title)}{code}")
    if str(error) != error.title:
        console.print(f"  {escape(str(error))}")
    for offence in error.offences:
        show_offence(console, offence)


def show_offence(console: Console, offence: Mapping[str, Any]) -> None:
    """Print one thing at fault: where, what, and the way out."""
    where = next((str(offence[name]) for name in PLACES if offence.get(name)), "")
    operator = f" [cyan]{escape(str(offence['operator']))}[/]" if offence.get("operator") else ""
    console.print(f"  - [bold]{escape(where)}[/]{operator}: {escape(str(offence.get('detail', '')))}")
    if offence.get("way_out"):
        console.print(f"    [green]way out:[/] {escape(str(offence['way_out']))}")


@contextmanager
def progress_bars(jobs: Sequence[Job], titles: Sequence[str] = ()) -> Iterator[Callable[[Job], None]]:
    """Show a bar per job on stderr; yields the function to call with a job that was looked at.

    Args:
        jobs: what is shown.
        titles: of the bars; what the jobs were asked for by default.
    """
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=stderr()) as bars:
        titles = titles or [job.title for job in jobs]
        tasks = {
            job.id: bars.add_task(escape(title), total=None, unit=job.unit)
            for job, title in zip(jobs, titles, strict=True)
        }

        def update(job: Job) -> None:
            done, total = job.progress
            bars.update(tasks[job.id], completed=done, total=total or None)

        for job in jobs:
            update(job)
        yield update


def show_summaries(jobs: Sequence[Job], judgements: Sequence[Judgement]) -> None:
    """Print the table of a run: a row per mutation or distance, then why it was decided so."""
    radial = all(job.data.get("kind") == RADIAL for job in jobs)
    titles = RADIAL_TITLES if radial else SEGMENT_TITLES
    console, table = stdout(), plain_table(titles, left={titles[0], "decision"})
    for job, judgement in zip(jobs, judgements, strict=True):
        colour = JUDGED.get(judgement.decision, "yellow")
        for cells in radial_cells(job) if radial else [_cells(job)]:
            table.add_row(*cells, f"[{colour}]{judgement.decision.word}[/]")
    console.print(table)
    for job, judgement in zip(jobs, judgements, strict=True):
        console.print(f"{job.id}  {escape(judgement.ground)}")
        for warning in job.data.get("warnings") or ():
            console.print(f"[yellow]warning:[/] {escape(text_of(warning))}")
        if any("preprocessing" in text_of(warning) for warning in job.data.get("warnings") or ()):
            here = f"glocert precheck {job.model_id} --data {job.data['dataset_id']}"
            console.print(f"         {here} shows which preprocessing gives which accuracy.", soft_wrap=True)


def plain_table(titles: Sequence[str], *, left: Set[str]) -> Table:
    """Return a table without lines, whose numbers stand at the right."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, justify="left" if title in left else "right", no_wrap=bool(title))
    return table


def show_rows(rows: Iterator[Mapping[str, Any]]) -> None:
    """Print a table of results, a row per input."""
    titles = ("index", "label", "predicted", "verdict", "certified to", "robust mass", "seconds", "")
    table = plain_table(titles, left={"verdict", ""})
    for row in rows:
        verdict = str(row["verdict"])
        table.add_row(
            str(row["index"]), _label(row["label"]), _label(row["predicted"]),
            f"[{STYLES.get(verdict, '')}]{verdict}[/]" if verdict in STYLES else verdict,
            extent_of(row), mass_of(row), f"{row.get('seconds', 0.0):.3f}", escape(_remark(row)),
        )  # fmt: skip
    stdout().print(table)


def extent_of(row: Mapping[str, Any]) -> str:
    """Write how far one input is certified, in users' units."""
    if "radius" in row:
        return "unbounded" if row["radius"] is None else f"{row['radius']:.4g}"
    reached = row.get("certified_to")
    if reached and reached.get("parameters"):
        return describe_parameters(reached["parameters"], 4)
    return f"{reached['value']:.4g} {reached['unit']}" if reached else "-"


def mass_of(document: Mapping[str, Any]) -> str:
    """Write an enclosure of the robust mass: one number where both ends print alike."""
    mass = document.get("robust_mass")
    if not mass:
        return "-"
    lower, upper = f"{mass['lower']:.4f}", f"{mass['upper']:.4f}"
    return lower if lower == upper else f"{lower}..{upper}"


def extents(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write how far along the path inputs are certified: the least, the median and the largest extent."""
    reached = [row["certified_to"] for row in rows if row.get("certified_to")]
    if not reached:
        return "-"
    along = sorted(reached, key=lambda extent: float(extent["t"]))
    least, median, most = (extent["value"] for extent in (along[0], along[len(along) // 2], along[-1]))
    return f"{least:.3g} / {median:.3g} / {most:.3g} {along[0]['unit']}"


def text_of(warning: Any) -> str:
    """Return the sentence of a warning."""
    return str(warning.get("detail") or warning) if isinstance(warning, Mapping) else str(warning)


def _label(value: Any) -> str:
    return "-" if value is None else str(value)


def _cells(job: Job) -> list[str]:
    summary = job.summary or {}
    accuracy = summary.get("clean_accuracy")
    return [
        escape(job.title),
        *(str(summary.get(verdict, "-")) for verdict in VERDICTS),
        f"{accuracy:.1%}" if accuracy is not None else "-",
        mass_of(summary),
        f"{summary['seconds']:.1f}" if "seconds" in summary else "-",
    ]


def _remark(row: Mapping[str, Any]) -> str:
    if row["verdict"] == "falsified":
        return describe_counterexample(row)
    return describe_reason(row) if row["verdict"] in {"undecided", "skipped"} else ""
