"""The part of ``docs/benchmarks.md`` about the engine, with its pictures: tables in plain words."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.charts import Axis, Series, bars, lines
from benchmarks.kept import machines
from benchmarks.loop import against_prototype, summary
from benchmarks.service import ROOT

Table = Callable[[Sequence[str], Sequence[Sequence[Any]]], str]
Found = Mapping[str, Any]

RESULTS = ROOT / "benchmarks" / "results"
IMAGES = ROOT / "docs" / "images"
FOLDER = "images"


def read(name: str) -> Found | None:
    """Return what a benchmark found, or None where it was not run."""
    file = RESULTS / f"{name}.json"
    return json.loads(file.read_text()) if file.exists() else None


def picture(name: str, alt: str, svg: str) -> str:
    """Keep a picture and return the line that shows it."""
    IMAGES.mkdir(exist_ok=True)
    Path(IMAGES / f"{name}.svg").write_text(svg)
    return f"![{alt}]({FOLDER}/{name}.svg)"


def loop(found: Found, table: Table) -> str:
    """The engine against the fast ways that prove nothing."""
    rows = [
        [
            row["network"], row["kind"], *(_ms(row, name) for name in _CONTENDERS),
            _number(row.get("speed")), _number(row.get("mass_speed")), _number(row.get("events")),
            _number(row.get("proof")), _number(against_prototype(row)), "yes" if row["same"] else "NO",
        ]
        for row in found["rows"]
    ]  # fmt: skip
    titles = ["network", "path", *(f"{name}, ms" for name in _CONTENDERS.values()), "faster than float32",
              "faster than bisection", "faster than grids", "proof", "prototype",
              "answers agree"]  # fmt: skip
    bars_reached = "\n".join(f"- {line}" for line in summary(found["rows"]))
    return f"""## The engine

`python3 dev.py bench loop`: the same paths, the same labels, one thread, everybody turn and turn about;
medians of {found["repeat"]} runs. *Float32 curve*: the exact curve in float32 without any proof, written for
speed, by grids of vertices. *Proven curve*: the curve domain alone, event by event where that suits the
network, else by grids. *Bounds*: the form domain alone. *Engine*: what a job runs. *Engine, no rounding*: the
same loop whose rounding terms are taken out, which proves nothing; it follows the same events. *Mass*: the
engine asked for the robust mass to 0.001. *Bisection*: forward bounds in float32 without a proof, to 0.001
as well. *Faster than float32* is the time of the float32 curve over that of the engine, *faster than
bisection* likewise for the mass, *faster than grids* the time of the proven curve by grids over that event by
event, *proof* the time of the engine over that without rounding, and *prototype* the time of a point of the
float32 curve over that of an earlier prototype on another machine.
The proven curve and the grids, which take longest, may be of another run on the same machine.

{found["machine"]}

{bars_reached}

{_speed_chart(found["rows"])}

{_points_chart(found["rows"])}

{table(titles, rows)}
"""


_CONTENDERS = {
    "float32": "float32 curve", "curve": "proven curve", "forms": "bounds", "engine": "engine",
    "bare": "engine, no rounding", "mass": "mass", "bisection": "bisection",
}  # fmt: skip


_DRAWN = {**_CONTENDERS, "grid": "proven curve by grids"}


def _ms(row: Found, name: str) -> str:
    measured = row["contenders"].get(name)
    if measured is None:
        return ""
    return f"{measured['ms']:.1f} ({measured['fastest']:.1f} to {measured['slowest']:.1f})"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _speed_chart(rows: Sequence[Found]) -> str:
    speeds: dict[str, list[float]] = {}
    for row in rows:
        if "speed" in row:
            speeds.setdefault(row["network"], []).append(row["speed"])
    if not speeds:
        return ""
    values = {name: statistics.median(each) for name, each in speeds.items()}
    svg = bars(
        "How many times faster than the float32 curve (median of its paths)",
        values,
        {"equal": 1.0, "3 x": 3.0},
    )
    return picture("engine-speed", "speed-up of the engine over the float32 curve, per network", svg)


def _points_chart(rows: Sequence[Found]) -> str:
    series: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        each = row["contenders"]
        if {"float32", "curve", "engine"} <= each.keys():
            for key in ("float32", "curve", "grid", "engine"):
                if key in each:
                    point = each["float32"]["work"], each[key]["ms"]
                    series.setdefault(_DRAWN[key], []).append(point)
    if not series:
        return ""
    axes = Axis("breakpoints of the whole path", logarithmic=True), Axis("ms", logarithmic=True)
    svg = lines("Time against breakpoints, every path above", *axes, series, joined=False)
    return picture("engine-breakpoints", "time against breakpoints", svg)


def throughput(found: Found, table: Table) -> str:
    """A data set at once."""
    sizes = list(found["rows"][0]["per_second"])
    rows = [
        [row["network"], *(f"{row['per_second'][size]:.0f}" for size in sizes), f"{row['faster']:.1f}",
         f"{row['verdicts_differ']} / {row['numbers_differ']} / {row['bits_differ']}"]
        for row in found["rows"]
    ]  # fmt: skip
    series = {
        row["network"]: [(float(size), row["per_second"][size]) for size in sizes] for row in found["rows"]
    }
    axes = Axis("inputs together", logarithmic=True), Axis("inputs per second", logarithmic=True)
    chart = picture("engine-batch", "inputs per second by the size of a batch",
                    lines("Many inputs together", *axes, _first(series, 7)))  # fmt: skip
    titles = ["network", *("one at a time" if size == "1" else f"{size} together" for size in sizes),
              "times faster", "differing verdicts / numbers / bits"]  # fmt: skip
    return f"""## A data set at once

`python3 dev.py bench throughput`: inputs per second on the wall, up to {found["inputs"]} inputs, brightness
to +0.1, every core for both ways: one path uses one of them, several are followed side by side. The last
column counts inputs whose verdict is another in a batch than alone, whose share or extent differs by more
than both answers leave open, and whose numbers differ at all.

{machines(found)}

{chart}

{table(titles, rows)}
"""


def _first(series: Mapping[str, Any], count: int) -> dict[str, Any]:
    return dict(list(series.items())[:count])


def latent(found: Found, table: Table) -> str:
    """A generator and a regressor."""
    parts = [f"""## A generator and a regressor

`python3 dev.py bench latent`: the cGAN of the shared data, 15 linear layers, five latent numbers in, a
distance out, along a chord between two random codes.

{found["machine"]}
"""]  # fmt: skip
    if "prove" in found:
        rows = [
            [
                name,
                f"{each['seconds']:.3f} (up to {each['slowest']:.3f})",
                each["bar"],
                each["verdict"],
                each["rows"],
            ]
            for name, each in ((key, found["prove"][key]) for key in ("full", "hundredth"))
        ]
        titles = ["chord", "seconds", "bar", "verdict", "parts of the path"]
        parts.append("Proven: the output stays above its minimum less 0.01.\n\n" + table(titles, rows) + "\n")
        times = [(seconds, upper - lower) for seconds, lower, upper in found["prove"]["gap"]]
        series: dict[str, list[tuple[float, float]]] = {"engine": times}
        if "curve" in found:
            series["curve"] = [(seconds, 1 - t) for seconds, t, _ in found["curve"]["full"]["progress"]]
        axes = Axis("seconds", logarithmic=True), Axis("share of the path that is open")
        parts.append(picture("engine-latent", "open share of the latent chord over time",
                             lines("The full latent chord", *axes, series)) + "\n")  # fmt: skip
    if "curve" in found:
        rows = [
            [
                name,
                each["points"],
                f"{each['seconds']:.2f}",
                f"{each['megabytes']:.0f}",
                f"{each['radius']:.0e}",
            ]
            for name, each in ((key, found["curve"][key]) for key in ("full", "hundredth"))
        ]
        titles = ["chord", "breakpoints", "seconds", "MiB over the prepared network", "largest radius"]
        parts.append(
            "The exact curve as the library follows it, in order of t, with bounds after every run:\n\n"
            + table(titles, rows)
            + "\n"
        )
    parts.append("\n".join(_memory_and_stop(found)) + "\n")
    return "\n".join(parts)


def _memory_and_stop(found: Found) -> Iterator[str]:
    if "memory" in found:
        each = found["memory"]
        yield (
            f"- Memory: **{each['megabytes']:.0f} MiB** for {each['points']:,} breakpoints of a longer chord"
            f" (bar {each['bar']:.0f}), in {each['seconds']:.0f} s."
        )
    if "stop" in found:
        each = found["stop"]
        shares = ", ".join(f"{share:.3f}" for share in each["decided"])
        yield (
            f"- Stopping: at most **{each['late']:.2f} s** after the time is over (bar {each['bar']:.0f})."
            f" Stopped three times and gone on from what was proven, the shares decided were {shares}; all in"
            f" all {each['with_stops']:.1f} s against {each['uninterrupted']:.1f} s without a stop, and"
            f" {'the same answer' if each['same'] else 'ANOTHER ANSWER'}."
        )


def growth(found: Found, table: Table) -> str:
    """Length, depth, width and the gap."""
    charts = [*_length_charts(found), *_size_charts(found), *_gap_charts(found)]
    rows = [
        [row["network"], row["share"], row["points"], f"{row['float32']:.1f}", f"{row['engine']:.1f}"]
        for row in found["length"]
    ]
    titles = ["network", "share of the chord", "breakpoints", "float32 curve, ms", "engine, ms"]
    pictures = "\n\n".join(charts)
    return f"""## Growth

`python3 dev.py bench growth`: breakpoints and time by the length of a path; time by depth (hidden layers of
64) and by width (three hidden layers) of fully connected networks with random weights; and how the bounds of
the robust mass close in while the engine works. Following the curve decides the path from its start to its
end, run by run; where the engine bounds parts of it first, it decides most of the path at once.

{found["machine"]}

{pictures}

{table(titles, rows)}
"""


def _length_charts(found: Found) -> Iterator[str]:
    share = Axis("share of a chord", logarithmic=True)
    for key, title, unit in (
        ("points", "Breakpoints", "breakpoints"),
        ("engine", "Time of the engine", "ms"),
    ):
        series: dict[str, list[tuple[float, float]]] = {}
        for row in found["length"]:
            series.setdefault(row["network"], []).append((row["share"], row[key]))
        svg = lines(f"{title} by the length of a path", share, Axis(unit, logarithmic=True), series)
        yield picture(f"engine-length-{key}", f"{title} by the length of a path", svg)


def _size_charts(found: Found) -> Iterator[str]:
    for key, title in (("depth", "hidden layers of 64"), ("width", "units in each of three hidden layers")):
        series: Series = {
            name: [(row[key], row[contender]) for row in found[key]]
            for name, contender in (("float32 curve", "float32"), ("engine", "engine"))
        }
        svg = lines(f"Time by {key}", Axis(title, logarithmic=True), Axis("ms", logarithmic=True), series)
        yield picture(f"engine-{key}", f"time by {key} of a network", svg)


def _gap_charts(found: Found) -> Iterator[str]:
    for name, each in found["gap"].items():
        series = {
            f"{who}: {bound}": [(ms, low if bound == "L" else high) for ms, low, high in each[who]]
            for who in ("engine", "curve")
            for bound in ("L", "U")
        }
        axes = Axis("ms", logarithmic=True), Axis("robust mass")
        svg = lines(f"Bounds of the robust mass over time, {name}", *axes, series)
        yield picture(f"engine-gap-{name}", f"bounds of the robust mass over time, {name}", svg)


def agreement(found: Found, table: Table) -> str:
    """Does anything contradict the engine?"""
    columns = ("model", "paths", "certified", "falsified", "undecided", "weaker", "samples", "contradictions")
    rows = [
        [*(f"{row[name]:,}" if name != "model" else row[name] for name in columns), f"{row['share_gap']:.0e}",
         f"{row['extent_gap']:.0e}"]
        for row in found["rows"]
    ]  # fmt: skip
    total = {key: sum(row[key] for row in found["rows"]) for key in ("paths", "samples", "contradictions")}
    return f"""## Does anything contradict the engine?

`python3 dev.py bench agreement`: the engine against the plain curve, which follows every path whole by grids
of vertices, where the engine goes event by event through most of these networks.
Verdicts must be equal, shares must have a number in common, and no extent may go beyond a proven violation.
Every decided path is sampled at {_places(found)} places, in float32 and, where two scores are close, in
float64 (in bfloat16 before them where the processor multiplies matrices of it, for scores that are further
apart than eight times the largest error seen on that path), and attacked below its certified extent by a
search for the lowest margin. *Weaker* counts paths on which the engine proves less than the curve by more
than a millionth; the last columns are the widest open share and the largest loss of extent. In all:
{total["paths"]:,} paths, {total["samples"]:,} samples,
**{total["contradictions"]} contradictions**.

{machines(found)}

{table([*columns, "open share", "lost extent"], rows)}
"""


def _places(found: Found) -> str:
    """Return how many samples a path got: campaigns of several sessions may differ."""
    each = sorted({row.get("points", found.get("points", 0)) for row in found["rows"]})
    return f"{each[0]:,}" if len(each) == 1 else f"{each[0]:,} to {each[-1]:,}"


def lirpa(found: Found, table: Table) -> str:
    """The peer that bounds."""
    rows = [
        [row["network"], row["boxes"], f"{row['ms']:.1f}", f"{row['low']:.4f}", f"{row['high']:.4f}",
         row.get("remark", "")]
        for row in found["rows"]
    ]  # fmt: skip
    titles = ["network", "boxes", "ms, median", "share, at least", "at most", ""]
    return f"""## The peer that bounds: auto_LiRPA

`python -m benchmarks.lirpa`, in an environment of its own: forward bounds of {found["version"]} in float32,
no rounding accounted for, batched bisection over the first chord of each network until at most 0.001 of it
is open, one thread. The bisection of the table above does the same with less around it.

{found["machine"]}

{table(titles, rows)}
"""


SECTIONS: Mapping[str, Callable[[Found, Table], str]] = {
    "loop": loop, "lirpa": lirpa, "throughput": throughput, "latent": latent, "growth": growth,
    "agreement": agreement,
}  # fmt: skip
