"""Time of the exact curve along a chord between two test images, with the proof and without.

``python -m benchmarks.curve`` prints a table and writes ``benchmarks/results/curve.json``. The curve is
followed as the library does it: event by event where that suits the network, else by grids of vertices. One
thread, processor time: what else runs on the machine then counts for less, though not for nothing. The
columns of peers are numbers that others published or that were measured elsewhere, on another machine and
another chord: compare time per point, and only roughly, as events leave out points at which no score bends.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.bare import without_radius
from glocert.graph.ir import Graph
from glocert.graph.onnx import read_onnx
from glocert.paths.segment import Segment
from glocert.segments import prepare, trace

RESULTS = Path(__file__).parent / "results" / "curve.json"
SHARED = Path(__file__).parents[1] / ".." / "shared" / "data"


@dataclass(frozen=True, slots=True)
class Published:
    """What others report for the same network on another chord, one thread.

    Attributes:
        points: breakpoints of their chord.
        syrenn_ms: SyReNN ExactLine, float32, unproven; None where it cannot read the network.
        float64_ms: an earlier float64 prototype without a radius.
    """

    points: int
    syrenn_ms: float | None
    float64_ms: float


NETWORKS: dict[str, Published | None] = {
    "mnist_fc_256x2": Published(204, 1.23, 1.33),
    "mnist_fc_256x4": Published(273, 2.86, 4.04),
    "mnist_fc_256x6": Published(337, 4.81, 6.05),
    "mnist_relu_6_100": Published(276, 1.30, 2.02),
    "acasxu_1_1": Published(105, 0.71, 1.68),
    "mnist_conv_small": Published(765, 12.0, 41.0),
    "cifar_conv_small_pgd": Published(2329, 58.0, 296.0),
    "cifar_resnet2b": Published(2575, None, 530.0),
    "cifar_cnn_a_adv": None,
    "cifar_resnet3b2": None,
    "mnist_lenet_maxpool": None,
    "mnist_avgpool": None,
}


@dataclass(frozen=True, slots=True)
class Row:
    """Measurements of one network.

    Attributes:
        network: its name.
        points: breakpoints on the chord; where events are followed, those at which a score bends.
        median_ms: processor time with the proof.
        fastest_ms: fastest of all runs.
        slowest_ms: slowest.
        bare_ms: median of the same loop without the radius.
        proof: median_ms / bare_ms.
        radius: largest proven error of a score.
        scale: largest absolute score.
        published: see ``Published``.
    """

    network: str
    points: int
    median_ms: float
    fastest_ms: float
    slowest_ms: float
    bare_ms: float
    proof: float
    radius: float
    scale: float
    published: dict[str, Any] | None


def main() -> None:
    """Measure, print, write."""
    options = _options()
    torch.set_num_threads(1)
    entries = {
        entry["name"]: entry for entry in json.loads((options.data / "manifest.json").read_text())["models"]
    }
    print(machine())
    print(_TITLE)
    rows = []
    for name in options.networks or NETWORKS:
        rows.append(measure(name, *chord(options.data, entries[name]), options.repeat))
        print(_line(rows[-1]), flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    report = {
        "machine": machine(),
        "threads": 1,
        "repeat": options.repeat,
        "rows": [asdict(row) for row in rows],
    }
    RESULTS.write_text(json.dumps(report, indent=1) + "\n")
    print(f"written to {RESULTS}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("networks", nargs="*", help="names in the manifest; all by default")
    parser.add_argument(
        "--data", type=Path, default=SHARED, help="folder with manifest.json, models and datasets"
    )
    parser.add_argument("--repeat", type=int, default=7, help="runs of each kind, interleaved")
    return parser.parse_args()


def machine() -> str:
    """Return processor, load, threads and versions in one line."""
    load = f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}"
    threads = f"{torch.get_num_threads()} thread{'s' * (torch.get_num_threads() > 1)}"
    return f"{_processor()}, {load}, {threads}, torch {torch.__version__}, Python {platform.python_version()}"


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def chord(data: Path, entry: dict[str, Any]) -> tuple[Graph, Segment]:
    """Return a network and the chord from the first test image to the next one of another class."""
    graph = read_onnx((data / "models" / entry["files"]["onnx"]).read_bytes()).graph
    if not any(name.endswith("_test") for name in entry.get("accuracy") or {}):
        start, stop = np.random.default_rng(0).uniform(-0.5, 0.5, (2, *graph.input_shape))
        return graph, Segment(start, stop, np.zeros(graph.input_shape))
    stored = np.load(data / "datasets" / f"{next(iter(entry['accuracy']))}.npz")
    images, labels = (stored[key] for key in stored.files[:2])
    other = int(np.flatnonzero(labels != labels[0])[0])
    start, stop = (prepared(images[i], entry, graph) for i in (0, other))
    return graph, Segment(start, stop, np.zeros(graph.input_shape))


def prepared(image: NDArray[np.uint8], entry: dict[str, Any], graph: Graph) -> NDArray[np.float64]:
    """Return an item as the network takes it."""
    pixels = image.astype(np.float32) / np.float32(255)
    pixels = pixels.transpose(2, 0, 1) if pixels.ndim == 3 and pixels.shape[-1] == 3 else pixels
    pixels = pixels.reshape(-1, *pixels.shape[-2:])
    recipe = entry.get("preprocess_spec") or {}
    if "mean" in recipe:
        mean, std = (np.array(recipe[key], np.float32).reshape(-1, 1, 1) for key in ("mean", "std"))
        pixels = (pixels - mean) / std
    return pixels.astype(np.float64).reshape(graph.input_shape)


def measure(name: str, graph: Graph, segment: Segment, repeat: int) -> Row:
    """Time the curve with and without the proof, turn and turn about."""
    program = prepare(graph)
    bare = without_radius(program)
    curve = trace(program, segment)
    trace(bare, segment)
    pairs = [
        (_time(lambda: trace(program, segment)), _time(lambda: trace(bare, segment))) for _ in range(repeat)
    ]
    proven, unproven = (sorted(times) for times in zip(*pairs, strict=True))
    median, plain = statistics.median(proven), statistics.median(unproven)
    published = NETWORKS.get(name)
    return Row(
        name,
        len(curve.t),
        median,
        proven[0],
        proven[-1],
        plain,
        median / plain,
        float(curve.radius.max()),
        float(np.abs(curve.scores).max()),
        asdict(published) if published else None,
    )


def _time(work: Callable[[], object]) -> float:
    gc.collect()
    start = time.process_time()
    work()
    return (time.process_time() - start) * 1e3


_TITLE = (
    f"{'network':22}{'points':>7}{'ms':>9}{'min':>9}{'max':>9}{'proof x':>9}{'us/point':>9}{'radius':>10}"
    f"   published elsewhere: points, SyReNN f32 ms, prototype f64 ms (us/point)"
)


def _line(row: Row) -> str:
    text = (
        f"{row.network:22}{row.points:7}{row.median_ms:9.2f}{row.fastest_ms:9.2f}{row.slowest_ms:9.2f}"
        f"{row.proof:9.2f}{row.median_ms / row.points * 1e3:9.1f}{row.radius:10.1e}"
    )
    if row.published is None:
        return text
    points, syrenn, ms = row.published.values()
    return f"{text}   {points}, {syrenn or '-'}, {ms} ({ms / points * 1e3:.1f})"


if __name__ == "__main__":
    main()
