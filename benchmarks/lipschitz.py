"""Lipschitz bounds of every model of the shared data, and what certification costs beside a forward pass.

``python3 dev.py bench lipschitz [NAME ...] [--inputs 10000]`` prints

- per model: the bound of its steepest pair of scores, how much of it was seen to be attained, the median
  radius on the first test inputs with the verdict on usefulness; or the nodes for which it is refused;
- seconds to analyse 6C2F at CIFAR-10's shape;
- the time of certifying inputs of that shape over the time of the forward pass alone, batch by batch in turn;
- the proven product of norms of ``mnist_spectral_mlp_b``, and its verified-robust accuracy on the test set.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.latency import machine
from benchmarks.service import ROOT
from glocert.certification.case import Subject
from glocert.certification.lipschitz import run
from glocert.certification.lipschitz_analysis import Analysis, analyse
from glocert.certification.lipschitz_scores import measured
from glocert.errors import GlocertError
from glocert.gloro.architectures import build
from glocert.gloro.network import to_graph
from glocert.graph.ir import Graph
from glocert.graph.onnx import read_onnx
from glocert.graph.run import run as execute
from glocert.lipschitz.bent import steepest
from glocert.lipschitz.network import bound
from glocert.lipschitz.radius import radii
from glocert.paths.items import Items
from glocert.paths.preprocessing import prepend_preprocessing
from glocert.report_lipschitz import summarise
from glocert.spec import Preprocessing
from glocert.spec_lipschitz import Execution, LipschitzSpec

RESULTS = ROOT / "benchmarks" / "results" / "lipschitz.json"
SPEC = LipschitzSpec((0.1, 0.3, 1.58))
SHOWN = "mnist_spectral_mlp_b"
CIFAR = (3, 32, 32)
ROWS = 100
BATCH = 200


@dataclass
class Line:
    """What is known of one model; ``refused`` with the nodes at fault, or its figures."""

    name: str
    refused: str = ""
    parts: int = 0
    steepest: float = 0.0
    tightness: float = 0.0
    worst_part: float | None = None
    seconds: float = 0.0
    median_radius: float | None = None
    verdict: str = ""

    def show(self) -> str:
        """Return the line of the table."""
        if self.refused:
            return f"{self.name:32} refused: {self.refused}"
        useful = (
            "" if self.median_radius is None else f"median radius {self.median_radius:.2e} {self.verdict}"
        )
        return (
            f"{self.name:32} {self.parts:3} parts  bound {self.steepest:9.3g}  "
            f"attained {self.tightness:6.1%}  {self.seconds:5.1f} s  {useful}"
        )


def main() -> int:
    """Measure, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--inputs", type=int, default=10_000)
    arguments = parser.parse_args()
    shared = Path(os.environ.get("GLOCERT_SHARED_DATA", ROOT.parent / "shared" / "data"))
    manifest = json.loads((shared / "manifest.json").read_text())
    lines = []
    for entry in manifest["models"]:
        if "onnx" in entry["files"] and (not arguments.names or entry["name"] in arguments.names):
            lines.append(line(shared, entry))
            print(lines[-1].show(), flush=True)
    found: dict[str, Any] = {"machine": machine(), "rows": [asdict(each) for each in lines]}
    if not arguments.names:
        found |= {"spectral": spectral(shared, manifest), **cifar(arguments.inputs)}
        RESULTS.write_text(json.dumps(found, indent=1) + "\n")
        print(json.dumps({key: found[key] for key in ("spectral", "analysis_s", "overhead")}, indent=1))
    return 0


def line(shared: Path, entry: Mapping[str, Any]) -> Line:
    """Bound one model, or say why not."""
    try:
        subject = opened(shared, entry)
        if subject.classes < 2:
            return single(entry["name"], subject.network)
        analysis = analyse(subject, range(min(ROWS, len(subject.items))))
    except GlocertError as error:
        nodes = "; ".join(f"{one.where} ({one.operator})" for one in error.offences[:4])
        more = f" and {len(error.offences) - 4} more" if len(error.offences) > 4 else ""
        return Line(entry["name"], refused=f"{error}: {nodes}{more}" if nodes else str(error))
    report = analysis.report()
    known = [part["tightness"] for part in report["parts"] if part["tightness"]]
    made = Line(
        entry["name"], "", len(report["parts"]), report["seen"]["upper"], report["seen"]["tightness"],
        max(known, default=None), analysis.seconds,
    )  # fmt: skip
    if subject.labels is not None:
        summary = certified(subject, analysis, SPEC, ROWS)
        made.median_radius = summary["usefulness"]["median_radius"]
        made.verdict = summary["usefulness"]["verdict"]
    return made


def single(name: str, graph: Graph) -> Line:
    """Bound a network of one output as a whole."""
    began = time.monotonic()
    found = bound(graph)
    known = [part.norm.tightness for part in found.parts if np.isfinite(part.norm.tightness)]
    seconds = time.monotonic() - began
    attained = steepest(graph) / found.scores
    return Line(name, "", len(found.parts), found.scores, attained, max(known, default=None), seconds)


def certified(subject: Subject, analysis: Analysis, spec: LipschitzSpec, count: int) -> dict[str, Any]:
    """Return the summary of the first inputs."""
    indices = range(min(count, len(subject.items)))
    return summarise(list(run(subject, spec, indices, analysis)), spec)


def opened(shared: Path, entry: Mapping[str, Any]) -> Subject:
    """Return a model behind its preprocessing with its test data, or with random inputs where it has none."""
    graph = read_onnx((shared / "models" / entry["files"]["onnx"]).read_bytes()).graph
    test = next((name for name in entry.get("accuracy") or () if name.endswith("_test")), None)
    if test is None:
        inputs = np.random.default_rng(0).random((ROWS, *graph.input_shape), np.float32)
        items = Items(inputs, graph.input_shape, Preprocessing())
        return Subject(prepend_preprocessing(graph, items.shape, Preprocessing()), items, None)
    recipe = entry.get("preprocess_spec") or {}
    mean, std = (
        tuple(np.atleast_1d(recipe[key]).tolist()) if key in recipe else () for key in ("mean", "std")
    )
    preprocessing = Preprocessing(mean=mean, std=std, layout=recipe.get("layout") or "NCHW")
    with np.load(shared / "datasets" / f"{test}.npz") as stored:
        items = Items(stored["images"], graph.input_shape, preprocessing)
        labels = stored["labels"].astype(np.int64)
    return Subject(prepend_preprocessing(graph, items.shape, preprocessing), items, labels)


def spectral(shared: Path, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Certify the test set with a network whose norms were kept small in training."""
    entry = next(entry for entry in manifest["models"] if entry["name"] == SHOWN)
    graph = read_onnx((shared / "models" / entry["files"]["onnx"]).read_bytes()).graph
    nothing = np.zeros((1, *graph.input_shape), np.float32)
    alone = Subject(graph, Items(nothing, graph.input_shape, Preprocessing()), None)
    product = analyse(alone, [0]).bound.scores
    subject = opened(shared, entry)
    analysis = analyse(subject, range(ROWS))
    answers: dict[str, Any] = {"product": product}
    for arithmetic in Execution:
        spec = LipschitzSpec(SPEC.epsilons, arithmetic=arithmetic)
        summary = certified(subject, analysis, spec, len(subject.items))
        answers[arithmetic.value] = {
            key: summary[key] for key in ("inputs", "clean_accuracy", "vra", "radius_quantiles")
        }
    return answers


def cifar(inputs: int) -> dict[str, Any]:
    """Time the analysis of 6C2F, and its certification against its forward pass."""
    torch.manual_seed(0)
    graph = to_graph(build("6c2f", CIFAR, 10), CIFAR)
    chance = np.random.default_rng(0)
    subject = Subject(graph, Items(chance.random((16, *CIFAR), np.float32), CIFAR, Preprocessing()), None)
    began = time.process_time()
    analysis = analyse(subject, range(16))
    cpu = time.process_time() - began
    plain = proof = 0.0
    images = chance.random((BATCH, *CIFAR), np.float32)
    for number in range(-2, -(-inputs // BATCH)):
        times = one_pass(graph, images), one_certification(graph, analysis, images)
        if number >= 0:  # the first two warm up
            plain, proof = plain + times[0], proof + times[1]
    return {
        "analysis_s": {"wall": analysis.seconds, "cpu": cpu},
        "overhead": {"inputs": inputs, "forward_s": plain, "certified_s": proof, "ratio": proof / plain},
    }


def one_pass(graph: Graph, images: np.ndarray) -> float:
    """Return the processor time of a forward pass."""
    began = time.process_time()
    with torch.inference_mode():
        execute(graph, torch.from_numpy(images)).argmax(dim=1)
    return time.process_time() - began


def one_certification(graph: Graph, analysis: Analysis, images: np.ndarray) -> float:
    """Return the processor time of labels with their radii."""
    pairs = analysis.bound.pairs
    began = time.process_time()
    scores = measured(graph, analysis.ledger, images, SPEC)
    scores.best(lambda slack: radii(scores.values, pairs, slack).radius)
    return time.process_time() - began


def page(found: Mapping[str, Any], table: Any) -> str:
    """Return the section of ``docs/benchmarks.md``."""
    titles = ["model", "parts", "bound of the steepest pair", "attained", "worst part", "seconds"]
    titles += ["median radius", "verdict"]
    rows: list[Sequence[Any]] = [
        [row["name"], row["refused"], "", "", "", "", "", "refused"]
        if row["refused"]
        else [
            row["name"], row["parts"], f"{row['steepest']:.4g}", f"{row['tightness']:.1%}",
            f"{row['worst_part']:.3f}" if row["worst_part"] else "", f"{row['seconds']:.1f}",
            "" if row["median_radius"] is None else f"{row['median_radius']:.2e}", row["verdict"],
        ]
        for row in found["rows"]
    ]  # fmt: skip
    overhead, answers = found["overhead"], found["spectral"]
    shares = "; ".join(
        f"{name}: clean {answers[name]['clean_accuracy']:.1%}, "
        + ", ".join(f"{share:.1%} at {key}" for key, share in answers[name]["vra"].items())
        for name in ("float32", "real")
    )
    return f"""## Lipschitz bounds

`python3 dev.py bench lipschitz`: every ONNX model of the shared data. *attained* is how fast the steepest
pair of scores was seen to change, over its proven bound; *worst part* is the largest proven constant of a
part over what was seen of it. Radii are l2 distances in raw input units on the first {ROWS} test inputs,
float32.

{found["machine"]}

{table(titles, rows)}

- Analysis of 6C2F at CIFAR-10's shape: **{found["analysis_s"]["wall"]:.1f} s**
  ({found["analysis_s"]["cpu"]:.1f} s of processor time).
- Certifying {overhead["inputs"]:,} inputs of that shape takes **{overhead["ratio"]:.3f} times** the forward
  pass alone ({overhead["certified_s"]:.1f} s against {overhead["forward_s"]:.1f} s of processor time, batch
  by batch in turn).
- `{SHOWN}`: proven product of norms **{answers["product"]:.4f}**; verified-robust accuracy on its
  {answers["float32"]["inputs"]:,} test inputs: {shares}.
"""


if __name__ == "__main__":
    sys.exit(main())
