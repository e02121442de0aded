"""The commands about directions of generators: mine some, list them, delete one."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.markup import escape

from glocert_client import run
from glocert_client.client import Client
from glocert_client.connection import LOCAL
from glocert_client.console import answering, plain_table, stdout, text_of, write_json
from glocert_client.decision import Decision, judge
from glocert_client.errors import ClientError
from glocert_client.job import Job
from glocert_client.making import save_files
from glocert_client.options import (
    AsJson,
    Deadline,
    Detach,
    Key,
    Limit,
    Others,
    Server,
    Tags,
    read_mutations,
    read_settings,
)
from glocert_client.uploads import Preprocessing

app = typer.Typer(
    help="Find and show directions of a generator: mutations without a formula.", no_args_is_help=True
)
GeneratorOrId = Annotated[
    str, typer.Argument(metavar="GENERATOR", help="ONNX or TorchScript file, a reference, or a model's id.")
]
Mode = Annotated[
    str,
    typer.Option(metavar="global|local|pair|derivative|attribute", help="Which directions are looked for."),
]
Data = Annotated[str, typer.Option(help="Inputs whose codes are looked at: a file or an id.")]
EncoderOrId = Annotated[str, typer.Option("--encoder", help="Proposes codes of inputs: a file or an id.")]
MaskText = Annotated[
    str,
    typer.Option(
        "--mask", metavar="TOP,LEFT,HEIGHT,WIDTH|FILE.png", help="Where the mutation is meant to act."
    ),
]
MutationText = Annotated[
    str, typer.Option("--mutation", metavar="TYPE=TO", help="Of pair and derivative, such as rotation=20.")
]
Positive = Annotated[
    str, typer.Option(metavar="LABEL[,LABEL...]", help="Of attribute: labels of inputs that have it.")
]
Negative = Annotated[
    str, typer.Option(metavar="LABEL[,LABEL...]", help="Labels of inputs that do not; all others by default.")
]
Count = Annotated[int | None, typer.Option(min=1, help="Most directions of global and local.")]
Method = Annotated[
    str,
    typer.Option(metavar="METHOD", help="eigen, rpca; subspace, ratio; means, separator: of three modes."),
]
CalledName = Annotated[str, typer.Option(help="Of the direction of a mode that finds one.")]
MiningSeed = Annotated[int | None, typer.Option("--seed", min=0, help="Of codes that are drawn.")]
Saved = Annotated[Path | None, typer.Option("--out", help="Folder for vectors, measures and pictures.")]
OfGenerator = Annotated[str, typer.Option("--generator", help="Only of this generator: its id.")]
DirectionId = Annotated[str, typer.Argument(metavar="DIRECTION", help="Id of a direction.")]
RECTANGLE = ("top", "left", "height", "width")


@app.command()
def mine(
    generator: GeneratorOrId,
    mode: Mode,
    data: Data = "",
    encoder: EncoderOrId = "",
    mask: MaskText = "",
    mutation: MutationText = "",
    positive: Positive = "",
    negative: Negative = "",
    count: Count = None,
    method: Method = "",
    name: CalledName = "",
    seed: MiningSeed = None,
    limit: Limit = None,
    others: Others = None,
    out: Saved = None,
    deadline: Deadline = None,
    tag: Tags = None,
    as_json: AsJson = False,
    detach: Detach = False,
    server: Server = LOCAL,
    key: Key = "",
) -> None:
    """Find directions; with --out save their vectors, measures and pictures."""
    members = read_settings(
        others, deadline, tag, mask=read_mask(mask), groups=read_groups(positive, negative), count=count,
        mutation=read_mutations([mutation])[0] if mutation else None, method=method or None,
        name=name or None, seed=seed, limit=limit,
    )  # fmt: skip
    with answering(as_json), Client(server, key) as client:
        model = run.find_model(client, generator, _of("generator"))
        proposes = run.find_model(client, encoder, _of("encoder")) if encoder else None
        inputs = run.find_dataset(client, data) if data else None
        job = client.mine_directions(model, mode, dataset=inputs, encoder=proposes, **members)
        if detach:
            run.show_started([job], as_json=as_json)
            return
        raise typer.Exit(_conclude(client, job, out, as_json=as_json))


@app.command("list")
def list_directions(
    generator: OfGenerator = "", as_json: AsJson = False, server: Server = LOCAL, key: Key = ""
) -> None:
    """Show directions, the newest first."""
    with answering(as_json), Client(server, key) as client:
        filters = {"generator_id": generator} if generator else {}
        found = list(client.directions(**filters))
        if as_json:
            write_json(found)
        else:
            _show(found)


@app.command()
def delete(direction: DirectionId, as_json: AsJson = False, server: Server = LOCAL, key: Key = "") -> None:
    """Delete a direction; certifications along it keep its vector."""
    with answering(as_json), Client(server, key) as client:
        client.delete_direction(direction)
        if as_json:
            write_json({"id": direction, "deleted": True})
        else:
            stdout().print(f"{direction} deleted")


def read_mask(text: str) -> dict[str, Any] | None:
    """Return the member ``mask`` of a mining, or None for no text."""
    if not text:
        return None
    if Path(text).is_file():
        return {"type": "picture", "png": base64.b64encode(Path(text).read_bytes()).decode()}
    numbers = _whole(text, "--mask")
    if len(numbers) != len(RECTANGLE):
        detail = f"{text!r} is neither a file nor TOP,LEFT,HEIGHT,WIDTH"
        raise typer.BadParameter(detail, param_hint="--mask")
    return {"type": "rectangle", **dict(zip(RECTANGLE, numbers, strict=True))}


def read_groups(positive: str, negative: str) -> dict[str, Any] | None:
    """Return the member ``groups`` of a mining, or None for no text."""
    if not positive:
        if negative:
            raise typer.BadParameter("it needs --positive", param_hint="--negative")
        return None
    groups: dict[str, Any] = {"by": "label", "positive": _whole(positive, "--positive")}
    return groups | ({"negative": _whole(negative, "--negative")} if negative else {})


def _whole(text: str, option: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of whole numbers", param_hint=option) from None


def _of(role: str) -> run.ModelSettings:
    return run.ModelSettings(Preprocessing(), role=role)


def _conclude(client: Client, job: Job, out: Path | None, *, as_json: bool) -> int:
    """Wait, save the files where that was asked for, show what was found, and return the exit code."""
    try:
        run.wait([job])
    except KeyboardInterrupt:
        run.cancel([] if job.finished else [job])
        return run.INTERRUPTED
    if job.status != "succeeded":
        judgement = judge(job.data, None)
        if as_json:
            write_json({"exit_code": int(judgement.decision), "ground": judgement.ground, "job": job.data})
        else:
            stdout().print(f"{job.id}  {judgement.ground}", markup=False)
        return judgement.decision
    found = list(_found(client, job))
    paths = save_files(job, out) if out is not None else []
    if as_json:
        write_json({
            "exit_code": int(Decision.PASS), "directions": found, "files": [str(path) for path in paths],
            "job": job.data,
        })  # fmt: skip
        return Decision.PASS
    _show(found)
    for warning in job.data.get("warnings") or ():
        stdout().print(f"[yellow]warning:[/] {escape(text_of(warning))}")
    for path in paths:
        stdout().print(str(path), markup=False, soft_wrap=True)
    return Decision.PASS


def _found(client: Client, job: Job) -> Iterable[dict[str, Any]]:
    """Return what a job has found, in its order.

    Raises:
        ClientError: the summary of the job names none.
    """
    summary = job.summary
    if summary is None:
        raise ClientError(f"job {job.id} has no summary")
    return [client.direction(str(one["id"])) for one in summary["directions"]]


def _show(directions: Iterable[Mapping[str, Any]]) -> None:
    table = plain_table(
        ("direction", "name", "mode", "energy", "leakage", "extent", ""),
        left={"direction", "name", "mode", ""},
    )
    for one in directions:
        leakage = one["leakage"]
        table.add_row(
            str(one["id"]), escape(one["name"] or "-"), str(one["mode"]), f"{one['energy']:.3g}",
            "-" if leakage is None else f"{leakage:.2%}", _reach(one), escape(one["links"]["preview"] or ""),
        )  # fmt: skip
    stdout().print(table)


def _reach(direction: Mapping[str, Any]) -> str:
    """Write how far a direction goes, in users' units where they are known."""
    scale, extent = direction["scale"], direction["extent"]
    if scale is None:
        return f"{extent:.3g}"
    return f"{extent:.3g} ({extent * scale['per_latent']:.3g} {scale['unit']})"
