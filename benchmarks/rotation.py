"""True rotations and translations of real images: how much is decided, in what time, and by which way.

``python -m benchmarks.rotation`` writes ``benchmarks/results/rotation.json``, image by image: what is there
is not measured again, and ``--seconds`` ends a session. One thread, processor time. Next to the engine stands
the way that was published for such transformations: the same interval cut into a fixed number of chunks, each
bounded once by a single linear relaxation of every pixel, and nothing refined. Both use the same proven
enclosures, so what differs is the loop.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks import kept
from benchmarks.curve import machine
from benchmarks.questions import Network, label_of, network, whole
from glocert import engine
from glocert.budget import Budget
from glocert.forms.decision import proven
from glocert.forms.margins import margins
from glocert.forms.path import Parts, forms
from glocert.graph.ir import Graph
from glocert.paths.motions import Motion, Rotation, Translation
from glocert.paths.warp import Warp
from glocert.report import SegmentReport
from glocert.spec import Analysis, Verdict

RESULTS = Path(__file__).parent / "results" / "rotation.json"
CHUNKS = (10, 100)
SECONDS, GAP = 10.0, 0.0005
DECIDED = 0.999


@dataclass(frozen=True, slots=True)
class Case:
    """One motion of the images of one network.

    Attributes:
        network: name in the manifest.
        motion: how they move.
        title: as people say it.
        images: how many.
    """

    network: str
    motion: Motion
    title: str
    images: int


CASES = (
    Case("mnist_conv_small", Rotation(-45.0, 45.0), "rotation by ±45°", 100),
    Case("mnist_conv_small", Translation((-2.0, 0.0), (2.0, 0.0)), "translation by ±2 px along x", 100),
    Case("mnist_conv_small", Translation((0.0, -2.0), (0.0, 2.0)), "translation by ±2 px along y", 100),
    Case("cifar_resnet2b", Rotation(-5.0, 5.0), "rotation by ±5°", 50),
)


def main() -> None:
    """Measure what is missing, keep every image at once, print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("cases", nargs="*", type=int, help="positions in CASES, all by default")
    parser.add_argument("--images", type=int, help="of each case, fewer than the page asks for")
    parser.add_argument("--seconds", type=float, help="begin no image after so many")
    parser.add_argument("--again", action="store_true", help="forget what was measured of these cases")
    parser.add_argument("--out", type=Path, default=RESULTS, help="file of results")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    watch = kept.Watch(chosen.seconds)
    cases = [CASES[at] for at in chosen.cases] if chosen.cases else list(CASES)
    if chosen.again:
        _keep(chosen.out, [row for row in kept.rows(chosen.out) if not any(_is_of(row, c) for c in cases)])
    for case in cases:
        _session(case, min(chosen.images or case.images, case.images), chosen.out, watch)
    for row in summaries(kept.rows(chosen.out)):
        print(json.dumps(row))


def _session(case: Case, count: int, file: Path, watch: kept.Watch) -> None:
    """Measure the images of one case that the file does not have, until the session is over."""
    where, before = machine(), kept.rows(file)
    done = {row["image"] for row in before if _is_of(row, case)}
    if len(done) >= count or watch.over:
        return
    model = network(case.network)
    graph = whole(model)
    program = engine.prepare(graph)
    for index, image, label in _right(model, graph, count):
        if watch.over:
            return
        if index in done:
            continue
        path = Warp(image, np.zeros_like(image), case.motion)
        row = {"network": case.network, "motion": case.title, "image": index, "machine": where}
        before.append({**row, **measured(program, path, label)})
        _keep(file, before)


def _is_of(row: Mapping[str, Any], case: Case) -> bool:
    return (row["network"], row["motion"]) == (case.network, case.title)


def _keep(file: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    places = {(case.network, case.title): at for at, case in enumerate(CASES)}
    ordered = sorted(rows, key=lambda row: (places[row["network"], row["motion"]], row["image"]))
    kept.write(file, {"rows": ordered})


def measured(program: engine.Program, path: Warp, label: int) -> dict[str, Any]:
    """Ask both ways about one image; seconds are of the processor."""
    began = time.process_time()
    found = _certified(program, path, label)
    spent = time.process_time() - began
    mass = found.robust_mass
    return {
        "label": label,
        "verdict": found.verdict.value,
        "mass": [mass.lower, mass.upper],
        "seconds": spent,
        "rows": found.pieces,
        "chunks": {str(chunks): _bounded_once(program, path, label, chunks) for chunks in CHUNKS},
    }


def summaries(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one line of the table for each case of which anything was measured."""
    each = [(case, [row for row in rows if _is_of(row, case)]) for case in CASES]
    return [_summary(case, mine) for case, mine in each if mine]


def _summary(case: Case, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    decided = [1.0 - (row["mass"][1] - row["mass"][0]) for row in rows]
    verdicts = [Verdict(row["verdict"]) for row in rows]
    spent = [row["seconds"] for row in rows]
    return {
        "network": case.network,
        "motion": case.title,
        "images": len(rows),
        "settled": sum(share >= DECIDED for share in decided),
        "least_decided": min(decided),
        "certified": verdicts.count(Verdict.CERTIFIED),
        "falsified": verdicts.count(Verdict.FALSIFIED),
        "robust_mass": statistics.fmean(row["mass"][0] for row in rows),
        "median_s": statistics.median(spent),
        "slowest_s": max(spent),
        "rows": statistics.median(row["rows"] for row in rows),
        "chunks": {str(chunks): _once([row["chunks"][str(chunks)] for row in rows]) for chunks in CHUNKS},
    }


def _right(model: Network, graph: Graph, count: int) -> Iterator[tuple[int, NDArray[np.float64], int]]:
    """Yield the first images that the network gets right: where they are, and their labels."""
    items, left = model.items, count
    for index in range(len(items)):
        image, label = items[index].astype(np.float64), int(model.labels[index])
        if left and label_of(graph, image) == label:
            left -= 1
            yield index, image, label


def _certified(program: engine.Program, path: Warp, label: int) -> SegmentReport:
    return engine.certify(
        program, path, label, analysis=Analysis.QUANTITATIVE, gap=GAP, budget=Budget.seconds(SECONDS)
    )


def _bounded_once(program: engine.Program, path: Warp, label: int, chunks: int) -> tuple[float, float]:
    """Bound every chunk once; return the share of the interval that is proven, and the seconds."""
    began = time.process_time()
    ends = np.linspace(0.0, 1.0, chunks + 1)
    parts = Parts.between(ends[:-1].copy(), ends[1:].copy())
    device = program.forms.device
    known = margins(program.forms.scores(forms(path.loaded(device), parts, device)), parts, label)
    safe = proven(known)
    whole_chunks = safe.held & (safe.start <= parts.start) & (safe.stop >= parts.stop)
    return float(whole_chunks.mean()), time.process_time() - began


def _once(found: Sequence[Sequence[float]]) -> dict[str, float]:
    return {
        "share": statistics.fmean(share for share, _ in found),
        "certified": sum(share == 1.0 for share, _ in found),
        "median_s": statistics.median(seconds for _, seconds in found),
    }


def page(found: Mapping[str, Any], table: Callable[[Sequence[str], Sequence[Sequence[Any]]], str]) -> str:
    """Return the section of the page of measurements."""
    rows = [
        [
            row["network"], row["motion"], row["images"], row["settled"], f"{row['least_decided']:.4f}",
            f"{row['certified']} / {row['falsified']}", f"{row['robust_mass']:.4f}",
            f"{row['median_s'] * 1e3:.0f} ({row['slowest_s'] * 1e3:.0f})", f"{row['rows']:.0f}",
            *(f"{one['share']:.3f}, {one['certified']} images, {one['median_s'] * 1e3:.0f} ms"
              for one in (row["chunks"][str(chunks)] for chunks in CHUNKS)),
        ]
        for row in summaries(found["rows"])
    ]  # fmt: skip
    titles = ["network", "motion", "images", "decided", "least share", "certified / falsified", "robust mass",
              "ms an image (slowest)", "parts", *(f"{chunks} chunks, bounded once" for chunks in CHUNKS),
              ]  # fmt: skip
    return f"""## True rotations and translations

`python3 dev.py bench rotation`: images that the network gets right before they move, bilinear, zero outside,
one thread, processor time. *Decided*: images of which at least {DECIDED:.1%} of the interval was proven to
keep the label or to lose it within {SECONDS:.0f} s; *least share* is that of the image that is decided least.
*Parts* is the median of the intervals that were bounded. The last columns are the published way: chunks of
equal length, each bounded once by one linear relaxation of every pixel; the share of the interval that is
proven to keep the label, the images proven on all of it, and the time an image. They use our enclosures of
the pixels, which are tighter than those that were published.

{kept.machines(found)}

{table(titles, rows)}
"""


if __name__ == "__main__":
    main()
