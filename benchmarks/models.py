"""Every classifier of the shared data through the running service: accuracy, both formats, dense sampling.

``python -m benchmarks.models [NAME ...] [--inputs 20] [--points 10000]`` prints one line per model:

- accuracy of the imported graph on the test set beside the count of the manifest (onnxruntime on the upload);
- verdicts of ``brightness`` to +0.2 and of a ``chord``, with the partition, for each format of the model;
- contradictions: random points of each path run in float32, and in float64 where two scores are close, whose
  label is not what the verdict, the certified extent or the partition says.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.latency import machine
from benchmarks.paths import Float64, images, points, to_input
from benchmarks.service import ROOT, embedded
from glocert.graph.ir import Graph
from glocert.graph.onnx import read_onnx
from glocert.graph.run import run
from glocert.graph.torchscript import read_torchscript
from glocert_client import Client, Preprocessing, UploadRejected

CLOSE = 1e-3
"""Relative distance of the two best float32 scores below which float64 decides."""
AT_CHANGE = 1e-9
"""Distance in t from a label change within which a sample says nothing."""
FORMS = ("onnx", "torchscript_trace", "torchscript_script")


@dataclass
class Line:
    """What was measured of one model."""

    name: str
    inputs: int
    points: int
    forms: list[str] = field(default_factory=list)
    correct: list[int] = field(default_factory=list)
    expected: int = 0
    verdicts: dict[str, str] = field(default_factory=dict)
    same: bool = True
    samples: int = 0
    contradictions: int = 0
    seconds: float = 0.0
    remark: str = ""

    def show(self) -> str:
        """Return the line of the table."""
        verdicts = "  ".join(f"{name} {counts}" for name, counts in self.verdicts.items())
        correct = "/".join(map(str, self.correct))
        return (
            f"{self.name:24} {'+'.join(self.forms):17} correct {correct} of {self.expected}  {verdicts:44} "
            f"formats {'same' if self.same else 'DIFFER'}  "
            f"contradictions {self.contradictions}/{self.samples}  {self.seconds:.0f} s {self.remark}"
        )

    @property
    def holds(self) -> bool:
        """Whether nothing contradicts the manifest, the other format or a sample."""
        return self.same and not self.contradictions and set(self.correct) == {self.expected}


def main() -> int:
    """Measure, print, keep the figures, and return 1 when anything disagrees."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--inputs", type=int, default=20)
    parser.add_argument("--points", type=int, default=10_000)
    arguments = parser.parse_args()
    shared = Path(os.environ.get("GLOCERT_SHARED_DATA", ROOT.parent / "shared" / "data"))
    manifest = json.loads((shared / "manifest.json").read_text())
    entries = [entry for entry in manifest["models"] if _wanted(entry)]
    chosen = [entry for entry in entries if not arguments.names or entry["name"] in arguments.names]
    lines = []
    with embedded() as url, Client(url) as client:
        for entry in chosen:
            lines.append(measure(client, shared, entry, arguments.inputs, arguments.points))
            print(lines[-1].show(), flush=True)
            _keep(lines[-1])
    taken = [line for line in lines if line.forms]
    holding, samples = sum(line.holds for line in taken), sum(line.samples for line in taken)
    print(
        f"{len(taken)} of {len(lines)} models taken, {holding} hold in everything, "
        f"{sum(line.contradictions for line in taken)} contradictions in {samples} samples"
    )
    return 0 if all(line.holds for line in taken) else 1


def _keep(line: Line) -> None:
    """Put one model's figures in the place of those that were there."""
    file = ROOT / "benchmarks" / "results" / "models.json"
    file.parent.mkdir(exist_ok=True)
    rows = json.loads(file.read_text())["rows"] if file.exists() else []
    others = [row for row in rows if row["name"] != line.name]
    kept = {"machine": machine(), "rows": sorted([*others, asdict(line)], key=lambda row: row["name"])}
    file.write_text(json.dumps(kept, indent=1) + "\n")


def _wanted(entry: Mapping[str, Any]) -> bool:
    return bool(entry.get("accuracy"))


def measure(client: Client, shared: Path, entry: Mapping[str, Any], inputs: int, count: int) -> Line:
    """Take one model in all its formats through the service."""
    test = next(name for name in entry["accuracy"] if name.endswith("_test"))
    expected, begun = entry["accuracy"][test]["correct"], time.monotonic()
    line = Line(entry["name"], inputs, count, expected=expected)
    archive = shared / "datasets" / f"{test}.npz"
    data = client.wait_ready(client.upload_dataset(archive))
    with np.load(archive) as arrays:
        items, labels = images(arrays["images"]), arrays["labels"]
    reference: dict[str, list[Any]] = {}
    for form in FORMS:
        if form not in entry["files"]:
            continue
        path = shared / "models" / entry["files"][form]
        try:
            model = client.wait_ready(_upload(client, path, entry))
        except UploadRejected as rejected:
            line.remark = f"{form}: {rejected}"[:160]
            continue
        line.forms.append(form.partition("_")[2] or form)
        line.correct.append(_correct(_graph(path, entry), entry, items, labels))
        for mutation in _mutations(labels):
            job = client.certify(model, data, mutation, limit=inputs, partition=True).wait()
            rows = list(job.results())
            line.verdicts[mutation["type"]] = _counts(rows)
            brief = [(row["index"], row["verdict"], row["predicted"]) for row in rows]
            line.same &= reference.setdefault(mutation["type"], brief) == brief
            if form == "onnx":
                _sample(line, entry, path, items, mutation, rows, count)
    line.seconds = time.monotonic() - begun
    return line


def _upload(client: Client, path: Path, entry: Mapping[str, Any]) -> Any:
    spec = entry["preprocess_spec"]
    mean, std = (np.atleast_1d(spec[name]).tolist() if name in spec else None for name in ("mean", "std"))
    preprocessing = Preprocessing(mean=mean, std=std, layout=spec.get("layout"))
    shape = None if path.suffix == ".onnx" else entry["inputs"][0]["shape"][1:]
    return client.upload_model(path, preprocessing=preprocessing, input_shape=shape)


def _correct(graph: Graph, entry: Mapping[str, Any], items: Float64, labels: NDArray[np.int64]) -> int:
    """Count what the imported graph gets right."""
    batch = to_input(items, entry["preprocess_spec"], graph.input_shape)
    found = [run(graph, part).argmax(1) for part in torch.from_numpy(batch).float().split(500)]
    return int((torch.cat(found).numpy() == labels).sum())


def _mutations(labels: NDArray[np.int64]) -> list[dict[str, Any]]:
    """Brightness to +0.2, and the chord to the first item of another class than item 0."""
    other = int(np.flatnonzero(labels != labels[0])[0])
    return [{"type": "brightness", "from": 0.0, "to": 0.2}, {"type": "chord", "item": other}]


def _counts(rows: Sequence[Mapping[str, Any]]) -> str:
    counts = Counter(row["verdict"] for row in rows)
    return "/".join(str(counts[name]) for name in ("certified", "falsified", "undecided", "skipped"))


def _sample(
    line: Line, entry: Mapping[str, Any], path: Path, items: Float64, mutation: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]], count: int,
) -> None:  # fmt: skip
    """Hold random points of every path against its row."""
    graph, generator = _graph(path, entry), np.random.default_rng(20)
    for row in rows:
        if row["verdict"] == "skipped":
            continue
        t = generator.random(count)
        seen = _labels(graph, to_input(points(mutation, row["index"], items, t), entry["preprocess_spec"],
                                       graph.input_shape))  # fmt: skip
        line.samples += count
        line.contradictions += contradictions(row, t, seen)


def _graph(path: Path, entry: Mapping[str, Any]) -> Graph:
    data = path.read_bytes()
    if path.suffix == ".onnx":
        return read_onnx(data).graph
    imported, _ = read_torchscript(data, input_shape=entry["inputs"][0]["shape"][1:])
    return imported.graph


def _labels(graph: Graph, batch: Float64) -> NDArray[np.int64]:
    """Return the winning class of every sample, by float64 where float32 is close."""
    found = []
    for part in torch.from_numpy(batch).split(1000):
        scores = run(graph, part.float())
        best = scores.topk(2).values
        close = (best[:, 0] - best[:, 1]) < CLOSE * scores.abs().amax(1).clamp(min=1)
        label = scores.argmax(1)
        if close.any():
            label[close] = run(graph, part[close]).argmax(1)
        found.append(label.numpy())
    return np.concatenate(found)


def contradictions(row: Mapping[str, Any], t: Float64, seen: NDArray[np.int64]) -> int:
    """Count the samples whose label is not what a row says of their place on the path."""
    label = row["label"]
    if row["verdict"] == "certified":
        return int((seen != label).sum())
    reach = row["certified_to"]["t"] if row["certified_to"] else -1.0
    early = int((seen[t <= reach] != label).sum())
    changes = np.array([part["to"] for part in row["partition"]])
    said = np.array([part["label"] for part in row["partition"]])[
        np.searchsorted(changes, t).clip(max=len(changes) - 1)
    ]
    clear = np.abs(t[:, None] - changes).min(axis=1) > AT_CHANGE
    return early + int((seen != said)[clear].sum())


if __name__ == "__main__":
    sys.exit(main())
