"""Options that commands share, and how their text is read."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from glocert_client.junit import Undecided
from glocert_client.latent import latent_parts, read_direction
from glocert_client.law import UnreadableLaw, parse_law
from glocert_client.mutation import UnreadableMutation, parse_mutation
from glocert_client.uploads import Preprocessing

Local = Annotated[bool, typer.Option("--local", help="Run the service for this command, from a checkout.")]
Server = Annotated[str, typer.Option("--server", envvar="GLOCERT_URL", help="Address of the service.")]
Key = Annotated[str, typer.Option("--key", envvar="GLOCERT_KEY", help="API key.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Write JSON to stdout instead of a table.")]

Host = Annotated[str, typer.Option(help="Address to listen on.")]
Artifact = Annotated[
    Path, typer.Argument(help="ONNX file of a wrapped network beside its manifest, or their folder.")
]
ServedRadius = Annotated[
    float | None, typer.Option("--epsilon", help="Radius to certify; that of the file by default.")
]
PropertyModel = Annotated[Path, typer.Argument(metavar="MODEL", help="ONNX file, gzipped or not.")]
PropertyFile = Annotated[Path, typer.Argument(metavar="PROPERTY", help="VNN-LIB file, gzipped or not.")]
PropertyTimeout = Annotated[float, typer.Option("--timeout", help="Seconds for everything.")]
ResultFile = Annotated[Path | None, typer.Option("--result", help="File for the result, as VNN-COMP has it.")]
Port = Annotated[int, typer.Option(help="Port to listen on; 0 picks a free one.")]
Folder = Annotated[Path, typer.Option(help="Folder of uploads, results and the database.")]
Queues = Annotated[str, typer.Option(help="Queues to serve.")]
WorkerName = Annotated[str, typer.Option(help="Name among all workers; one is made up by default.")]

ModelSource = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="ONNX or TorchScript file, or a reference such as models:/name@alias."
    ),
]
ModelOrId = Annotated[
    str, typer.Argument(metavar="MODEL", help="ONNX or TorchScript file, a reference, or a model's id.")
]
DataOrId = Annotated[str, typer.Option(help="File such as .npz with images and labels, or a data set's id.")]
Name = Annotated[str, typer.Option(help="Name in lists; the file's own by default.")]
Mean = Annotated[str, typer.Option(metavar="X[,X...]", help="Subtracted per channel before the network.")]
Std = Annotated[str, typer.Option(metavar="X[,X...]", help="Divisor per channel.")]
Layout = Annotated[str, typer.Option(metavar="NCHW|NHWC", help="Axis order that the network expects.")]
Scale = Annotated[bool | None, typer.Option("--scale/--no-scale", help="Divide integer items by 255.")]
Shape = Annotated[str, typer.Option(metavar="C,H,W", help="Shape of one input, where the file does not say.")]
Format = Annotated[
    str, typer.Option("--format", metavar="onnx|torchscript|pt2", help="Found out by default.")
]
Role = Annotated[
    str, typer.Option(metavar="classifier|regressor|generator|encoder", help="What the network is.")
]
Output = Annotated[str, typer.Option(help="Name or position of the output to use; the first by default.")]
Threshold = Annotated[
    float | None, typer.Option(help="Of a classifier with one output: label 1 where it is greater.")
]
Which = Annotated[str, typer.Option("--decision", metavar="max|min", help="Which score decides.")]

Mutations = Annotated[
    list[str] | None,
    typer.Option(
        metavar="TYPE=[FROM:]TO",
        help="rotation=-10:10, blur=1+fog=0.3, rotation=9*fog=0.1, latent=dir_...; repeatable.",
    ),
]
Generators = Annotated[
    str, typer.Option("--generator", metavar="MODEL", help="Of --mutation latent: a file or a model's id.")
]
Encoders = Annotated[
    str,
    typer.Option("--encoder", metavar="MODEL", help="Of the same: proposes the codes of inputs."),
]
Along = Annotated[
    str,
    typer.Option(
        "--direction", metavar="ID|FILE", help="Of the same: a direction's id, or a JSON list of its numbers."
    ),
]
Epsilons = Annotated[
    list[float] | None,
    typer.Option("--epsilon", min=0, help="Certify every input within this distance instead; repeatable."),
]
Radius = Annotated[float, typer.Option("--epsilon", help="Radius to be certified, l2, unit of the data.")]
Radii = Annotated[
    list[float] | None,
    typer.Option("--epsilon", min=0, help="Radius, l2; that of the wrapped file by default; repeatable."),
]
AnswerFormat = Annotated[
    str, typer.Option("--format", metavar="npz|csv|jsonl", help="Of the file with the answers.")
]
PredictorOrId = Annotated[
    str,
    typer.Argument(
        metavar="MODEL", help="Id of a finished wrapping (job_...), or a model: its id, a file, a reference."
    ),
]
DistanceNorm = Annotated[str, typer.Option("--norm", metavar="l1|l2|linf", help="Of --epsilon.")]
Method = Annotated[
    str,
    typer.Option(
        metavar="METHOD",
        help="How an incomplete analysis bounds: interval, zonotope or crown. "
        "Of --epsilon, whose radius counts: global, local or portfolio.",
    ),
]
TopK = Annotated[
    int | None, typer.Option("--top-k", min=1, help="Of --epsilon: the best K may change places.")
]
Arithmetic = Annotated[
    str,
    typer.Option(
        metavar="real|float32",
        help="Whose scores the certificate is about; by default real of --mutation, float32 of --epsilon.",
    ),
]
LeastVra = Annotated[
    float | None,
    typer.Option("--min-vra", min=0, max=1, help="Pass when the proven robust accuracy is this high."),
]
Formats = Annotated[
    list[str] | None,
    typer.Option("--to", metavar="onnx|torchscript|pt2", help="Format to write; repeatable, all by default."),
]
OutFolder = Annotated[Path, typer.Option("--out", help="Folder to write to.")]
Architecture = Annotated[
    str, typer.Option(metavar="2c2f|4c3f|6c2f|8c2f|liresnet", help="Of a training from scratch.")
]
FromModel = Annotated[
    str, typer.Option("--from", metavar="MODEL", help="Train this model further: a file or an id.")
]
Validation = Annotated[
    str, typer.Option(help="Data on which figures are measured: a file or an id; by default held out.")
]
Epochs = Annotated[int | None, typer.Option(min=1, help="Passes over the data.")]
Loss = Annotated[str, typer.Option(metavar="ce|trades-kl|emma", help="What is minimised.")]
Seed = Annotated[int | None, typer.Option(min=0, help="Of weights, order and augmentation.")]
Others = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", help="Another member of the job, such as rate=0.0005."),
]
Limit = Annotated[int | None, typer.Option(min=1, help="Only the first so many inputs.")]
Analysis = Annotated[
    str, typer.Option(metavar="complete|quantitative|incomplete", help="Which question is asked.")
]
Parts = Annotated[
    int | None, typer.Option(min=1, help="Equal parts of the path to bound (incomplete); 1 by default.")
]
Margin = Annotated[float | None, typer.Option(help="By how much the label's score must lead.")]
Gap = Annotated[float | None, typer.Option(help="Accepted width of the robust mass (quantitative).")]
InputBudget = Annotated[float | None, typer.Option(help="Seconds that one input may take.")]
Deadline = Annotated[float | None, typer.Option(help="Seconds that each job may take; then exit code 3.")]
Partition = Annotated[bool, typer.Option("--partition", help="Ask for the labels along the path.")]
LawText = Annotated[
    str,
    typer.Option(
        "--law",
        metavar="TYPE=NUMBERS",
        help="Of the parameter: truncated-normal=MEAN:STD, beta=A:B, "
        "triangular=MODE or points=VALUE:WEIGHT[;...]; uniform by default.",
    ),
]
BandWidth = Annotated[
    float | None,
    typer.Option(
        "--band", min=0, help="Certify that every output stays this close to its first value, not the label."
    ),
]
Paired = Annotated[
    bool,
    typer.Option("--paired", help="Items are two images, by channels; only the first is mutated."),
]
PropertyText = Annotated[
    str, typer.Option("--property", metavar="label|top-k=K|band=WIDTH", help="What must hold on the path.")
]
Tags = Annotated[list[str] | None, typer.Option("--tag", metavar="NAME=VALUE", help="Kept with the jobs.")]
Estimated = Annotated[
    str, typer.Option("--mutation", metavar="TYPE=[FROM:]TO", help="Of the job whose cost is estimated.")
]
Tried = Annotated[int | None, typer.Option("--limit", min=1, help="Items to try; 200 by default.")]
Detach = Annotated[bool, typer.Option("--detach", help="Do not wait: print the ids of the jobs.")]

Junit = Annotated[Path | None, typer.Option(help="Write JUnit XML here.")]
UndecidedAs = Annotated[Undecided, typer.Option("--undecided", help="What an undecided input is in JUnit.")]
Rate = Annotated[
    float | None,
    typer.Option(
        "--min-certified-rate", min=0, max=1, help="Pass when this share of the inputs is certified."
    ),
]
Lenient = Annotated[
    bool, typer.Option("--allow-inconclusive", help="Exit 0 instead of 2; never hides 1, 3 or 4.")
]

JobId = Annotated[str, typer.Argument(metavar="JOB", help="Id of a job.")]
Verdict = Annotated[
    str, typer.Option(metavar="certified|falsified|undecided|skipped", help="Only rows with this verdict.")
]
Out = Annotated[Path | None, typer.Option(help="Folder to write to; the id of the job by default.")]


def read_mutations(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Return the members ``mutation`` of the jobs to start."""
    try:
        return [parse_mutation(text) for text in texts]
    except UnreadableMutation as error:
        raise typer.BadParameter(str(error), param_hint="--mutation") from None


def read_questions(
    mutations: Sequence[str],
    epsilons: Sequence[float],
    shared: Mapping[str, Any],
    along: Mapping[str, Any],
    within: Mapping[str, Any],
    min_vra: float | None,
) -> list[dict[str, Any]]:
    """Return the bodies of the jobs to start: one per mutation, or one for all distances.

    Args:
        mutations: paths to follow.
        epsilons: distances.
        shared: members of both kinds of jobs.
        along: members of jobs about mutations.
        within: members of the job about distances.
        min_vra: a bar that only distances can be held to.
    """
    if bool(mutations) == bool(epsilons):
        raise typer.BadParameter("give --mutation or --epsilon, not both", param_hint="--mutation")
    asked, others = ("--epsilon", along) if epsilons else ("--mutation", {**within, "min_vra": min_vra})
    for name, value in others.items():
        if value is not None:
            option = "--band" if name == "property" else f"--{NAMED.get(name, name).replace('_', '-')}"
            raise typer.BadParameter(f"it does not go with {asked}", param_hint=option)
    if epsilons:
        return [{"epsilons": list(epsilons), **shared, **within}]
    return [{"mutation": one, **shared, **along} for one in read_mutations(mutations)]


def read_through(
    bodies: Sequence[Mapping[str, Any]], generator: str, encoder: str, direction: str
) -> dict[str, Any]:
    """Return what latent mutations go through: files or ids of models, and the member for a direction."""
    given = {"generator": generator, "encoder": encoder, "direction": direction}
    latent = any(latent_parts(body["mutation"]) for body in bodies if "mutation" in body)
    for name, value in given.items():
        if value and not latent:
            raise typer.BadParameter("it goes with --mutation latent=…", param_hint=f"--{name}")
    try:
        return given | {"direction": read_direction(direction) if direction else {}}
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--direction") from None


RADII = frozenset({"global", "local", "portfolio"})
"""methods of --epsilon; all others are of --mutation"""
NAMED = {"relaxation": "top_k"}
"""members that another option than their own name stands for"""


def read_property(text: str, band: float | None) -> dict[str, Any] | None:
    """Return the member ``property`` of the jobs to start, or None for the label.

    Args:
        text: ``label``, ``top-k=K`` or ``band=WIDTH``; empty for none.
        band: width of a band, which says the same shorter.
    """
    if text and band is not None:
        raise typer.BadParameter("give --band or --property, not both", param_hint="--property")
    if band is not None:
        return _band(band, "--band")
    kind, _, number = text.partition("=")
    if kind in {"", "label"} and not number:
        return {"type": "label"} if kind else None
    try:
        if kind == "top-k":
            return {"type": "top_k", "k": int(number)}
        if kind == "band":
            return _band(float(number), "--property")
    except ValueError:
        raise typer.BadParameter(f"{number!r} is no number for it", param_hint="--property") from None
    raise typer.BadParameter(f"{text!r} is not label, top-k=K or band=WIDTH", param_hint="--property")


def _band(width: float, option: str) -> dict[str, Any]:
    if not (math.isfinite(width) and width > 0):
        raise typer.BadParameter("it must be greater than 0", param_hint=option)
    return {"type": "band", "width": width}


def read_law(text: str) -> dict[str, Any] | None:
    """Return the member ``law`` of the jobs to start, or None for no text."""
    try:
        return parse_law(text) if text else None
    except UnreadableLaw as error:
        raise typer.BadParameter(str(error), param_hint="--law") from None


def read_preprocessing(mean: str, std: str, layout: str, scale: bool | None) -> Preprocessing:
    """Return what happens to an item before the network; what is not given is left to the service."""
    return Preprocessing(
        mean=read_numbers(mean, "--mean"), std=read_numbers(std, "--std"), layout=layout or None, scale=scale
    )


def read_numbers(text: str, option: str) -> list[float] | None:
    """Return comma-separated finite numbers, or None for no text."""
    if not text:
        return None
    try:
        numbers = [float(part) for part in text.split(",")]
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not a list of numbers", param_hint=option) from None
    if not all(map(math.isfinite, numbers)):
        raise typer.BadParameter(f"{text!r} holds something that is not finite", param_hint=option)
    return numbers


def read_shape(text: str) -> list[int] | None:
    """Return comma-separated lengths of axes, or None for no text."""
    if not text:
        return None
    if not all(part.strip().isdecimal() for part in text.split(",")):
        raise typer.BadParameter(f"{text!r} is not a shape such as 1,28,28", param_hint="--input-shape")
    return [int(part) for part in text.split(",")]


def read_tags(texts: Sequence[str]) -> dict[str, str] | None:
    """Return ``NAME=VALUE`` pairs as a mapping, or None for none."""
    pairs = [text.partition("=") for text in texts]
    if any(not name or not equals for name, equals, _ in pairs):
        raise typer.BadParameter("a tag is NAME=VALUE", param_hint="--tag")
    return {name: value for name, _, value in pairs} or None


def read_members(texts: Sequence[str]) -> dict[str, Any]:
    """Return ``NAME=VALUE`` pairs as members of a job; what is no JSON is text."""
    pairs = [text.partition("=") for text in texts]
    if any(not name or not equals for name, equals, _ in pairs):
        raise typer.BadParameter("a member is NAME=VALUE", param_hint="--set")
    return {name: _value(value) for name, _, value in pairs}


def read_settings(
    others: Sequence[str] | None, deadline: float | None, tags: Sequence[str] | None, **named: Any
) -> dict[str, Any]:
    """Return members of a job: those of ``--set``, and over them the options that were given."""
    named |= {"budget": read_budget(None, deadline), "tags": read_tags(tags or [])}
    given = {name: value for name, value in named.items() if value is not None}
    return read_members(others or []) | given


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def read_budget(seconds_per_input: float | None, seconds: float | None) -> dict[str, float] | None:
    """Return the member ``budget`` of a job, or None for the service's own."""
    given = {"seconds_per_input": seconds_per_input, "seconds": seconds}
    return {name: value for name, value in given.items() if value is not None} or None
