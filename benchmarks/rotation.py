"""True rotations and translations of real images: how much is decided, in what time, and by which way.

``python -m benchmarks.rotation`` prints a table and writes ``benchmarks/results/rotation.json``. One thread,
processor time. Next to the engine stands the way that was published for such transformations: the same
interval cut into a fixed number of chunks, each bounded once by a single linear relaxation of every pixel,
and nothing refined. Both use the same proven enclosures, so what differs is the loop.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

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


@dataclass(frozen=True, slots=True)
class Row:
    """Measurements of one case.

    Attributes:
        network: its name. motion: its title. images: those that the network gets right before they move.
        settled: how many of them have at least ``DECIDED`` of the interval decided. least_decided: smallest
        share of the interval that was decided. certified: images that keep their label on the whole interval.
        falsified: images that provably lose it. robust_mass: mean of the lower bounds. median_s: processor
        time an image. slowest_s: of the slowest one. rows: median of the parts of the interval that were
        bounded. chunks: per number of chunks the share of the intervals proven, the images proven on all of
        it, and the
            median of the seconds an image.
    """

    network: str
    motion: str
    images: int
    settled: int
    least_decided: float
    certified: int
    falsified: int
    robust_mass: float
    median_s: float
    slowest_s: float
    rows: float
    chunks: dict[str, dict[str, float]]


def main() -> None:
    """Measure, print and keep the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, help="of each case, fewer than the page asks for")
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    rows = [_measured(case, min(chosen.images or case.images, case.images)) for case in CASES]
    for row in rows:
        print(json.dumps(asdict(row)))
    if chosen.images is None:
        RESULTS.write_text(
            json.dumps({"machine": machine(), "rows": [asdict(row) for row in rows]}, indent=2)
        )


def _measured(case: Case, count: int) -> Row:
    model = network(case.network)
    graph = whole(model)
    program = engine.prepare(graph)
    found: list[SegmentReport] = []
    spent: list[float] = []
    single: dict[int, list[tuple[float, float]]] = {chunks: [] for chunks in CHUNKS}
    for image, label in _right(model, graph, count):
        path = Warp(image, np.zeros_like(image), case.motion)
        began = time.process_time()
        found.append(_certified(program, path, label))
        spent.append(time.process_time() - began)
        for chunks in CHUNKS:
            single[chunks].append(_bounded_once(program, path, label, chunks))
    decided = [1.0 - (one.robust_mass.upper - one.robust_mass.lower) for one in found]
    return Row(
        network=case.network,
        motion=case.title,
        images=len(found),
        settled=sum(share >= DECIDED for share in decided),
        least_decided=min(decided),
        certified=sum(one.verdict is Verdict.CERTIFIED for one in found),
        falsified=sum(one.verdict is Verdict.FALSIFIED for one in found),
        robust_mass=statistics.fmean(one.robust_mass.lower for one in found),
        median_s=statistics.median(spent),
        slowest_s=max(spent),
        rows=statistics.median(one.pieces for one in found),
        chunks={str(chunks): _summary(single[chunks]) for chunks in CHUNKS},
    )


def _right(model: Network, graph: Graph, count: int) -> Iterator[tuple[NDArray[np.float64], int]]:
    """Yield the first images that the network gets right, and their labels."""
    items, left = model.items, count
    for index in range(len(items)):
        image, label = items[index].astype(np.float64), int(model.labels[index])
        if left and label_of(graph, image) == label:
            left -= 1
            yield image, label


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


def _summary(found: Sequence[tuple[float, float]]) -> dict[str, float]:
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
        for row in found["rows"]
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

{found["machine"]}

{table(titles, rows)}
"""


if __name__ == "__main__":
    main()
