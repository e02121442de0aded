"""A precheck for people: the table of preprocessings, what is recommended, what is wrong, and the cost."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape

from glocert_client.console import plain_table, stdout
from glocert_client.mutation import describe_mutation

Document = Mapping[str, Any]


def show_precheck(summary: Document) -> None:
    """Print the summary of a precheck."""
    console = stdout()
    for line in _facts(summary):
        console.print(escape(line), soft_wrap=True)
    if summary["guesses"]:
        _show_guesses(console, summary)
    for line in (*summary["fit"]["problems"], *summary["labels"]["problems"], *summary["warnings"]):
        console.print(f"[yellow]warning:[/] {escape(line)}", soft_wrap=True)
    for trial in summary["rearranged"]:
        text = f"{trial['name']}: {trial['accuracy']:.1%} right. Rearrange the data before they are uploaded."
        console.print(f"[yellow]warning:[/] {escape(text)}", soft_wrap=True)
    if summary["recommended"] is not None:
        console.print(f"[green]recommended:[/] {escape(_options(summary['recommended']))}", soft_wrap=True)
    console.print(escape(_cost(summary["estimate"])), soft_wrap=True)


def _facts(summary: Document) -> Iterator[str]:
    model, fit = summary["model"], summary["fit"]
    segment = model["methods"]["segment"]
    yield (
        f"model  {model['parameters']:,} parameters, {model['nonlinear_units']:,} nonlinear units, "
        f"{model['outputs']} {model['output_kind']}; segment method: {segment['admitted']}"
    )
    for node in segment.get("nodes", ()):
        yield f"       {node['where']} ({node['operator']}): {node['detail']}"
    (low, high), orders = fit["range"], " or ".join(fit["layouts"]) or "unknown"
    yield (
        f"data   {fit['items']:,} items of shape {fit['item_shape']}, {fit['dtype']} "
        f"from {low:g} to {high:g}; the model takes {fit['input_shape']}, layout {orders}"
    )


def _show_guesses(console: Console, summary: Document) -> None:
    labelled = summary["guesses"][0]["accuracy"] is not None
    titles = ("preprocessing", "mean", "std", "layout", *(LABELLED if labelled else UNLABELLED), "")
    table = plain_table(titles, left={"preprocessing", "mean", "std", "layout", ""})
    best = (summary["recommended"] or {}).get("name")
    for guess in summary["guesses"]:
        settings = guess["preprocessing"]
        remark = "recommended" if guess["name"] == best else ""
        table.add_row(
            escape(guess["name"]),
            _numbers(settings["mean"], "0"),
            _numbers(settings["std"], "1"),
            settings["layout"],
            *(_measures(guess) if labelled else _answers(guess)),
            remark,
        )
    console.print(table)


LABELLED = ("accuracy", "95 % interval", "items")
UNLABELLED = ("information", "label entropy", "items")


def _measures(guess: Document) -> tuple[str, ...]:
    interval = guess["interval"]
    return (
        f"{guess['accuracy']:.1%}",
        f"{interval['lower']:.1%}..{interval['upper']:.1%}",
        str(guess["items"]),
    )


def _answers(guess: Document) -> tuple[str, ...]:
    return f"{guess['information']:.2f} bits", f"{guess['label_entropy']:.2f} bits", str(guess["items"])


def _numbers(values: Sequence[float], none: str) -> str:
    return ", ".join(f"{value:.4g}" for value in values) or none


def _options(found: Document) -> str:
    settings = found["preprocessing"]
    options = [
        f"--{name} {','.join(f'{v:.10g}' for v in settings[name])}"
        for name in ("mean", "std")
        if settings[name]
    ]
    options += ["--no-scale"] if not settings["scale"] else []
    options += ["--layout NHWC"] if settings["layout"] == "NHWC" else []
    if settings["domain"] != [0.0, 1.0]:
        return f"{found['name']}, preprocessing={json.dumps(settings)}"
    return f"{found['name']}: {' '.join(options) or 'no --mean, no --std'}"


def _cost(estimate: Document) -> str:
    if not estimate["measured"]:
        return f"cost   {estimate['note']}"
    each, seconds = estimate["seconds_per_input"], estimate["seconds"]
    about = "at least" if estimate["at_least"] else "about"
    workers = f"{estimate['workers']} worker" + ("s" if estimate["workers"] > 1 else "")
    spread = " / ".join(f"{each[name]:.3g}" for name in ("least", "median", "most"))
    return (
        f"cost   {describe_mutation(estimate['mutation'])}: {about} {seconds:.3g} s for {estimate['inputs']} "
        f"inputs with {workers}; {spread} s per input (least / median / most of {estimate['measured']}): "
        "an estimate"
    )
