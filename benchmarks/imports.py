"""Every model file of the shared data: imported or refused, how far from the original, and a certificate.

``python3 dev.py bench imports [NAME ...] [--inputs 10]``: each file is inspected as a worker does it, but
compared with onnxruntime or torch on a hundred inputs; then a small job is run through the service:
brightness to +0.02, of test images or of random inputs where a model has no labelled data. How many of the
architectures found in the wild have only supported operators is counted from
``architectures.json``.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.latency import machine
from benchmarks.service import ROOT, embedded
from glocert.errors import GlocertError
from glocert.graph import compare
from glocert.graph.inspect import inspect_network
from glocert.graph.limits import Limits
from glocert.graph.onnx import OPERATORS
from glocert.graph.purpose import Purpose
from glocert_client import Client, Preprocessing
from glocert_client.errors import ClientError

RESULTS = ROOT / "benchmarks" / "results" / "imports.json"
ARCHITECTURES = Path(__file__).parent / "architectures.json"
SAMPLES = 100
JOB_S = 240.0
BAND = 1.0
"""width of the band in which a network with one output must stay"""


@dataclass
class Line:
    """What is known of one file.

    Attributes:
        refused: why, where it was; the nodes at fault with it.
        verdicts: certified, falsified, undecided and skipped inputs of the job, and what it was.
    """

    name: str
    refused: str = ""
    format: str = ""
    opset: int | None = None
    operators: list[str] = field(default_factory=list)
    parameters: int = 0
    nonlinear: int = 0
    absolute: float = 0.0
    relative: float = 0.0
    runtime: str = ""
    methods: list[str] = field(default_factory=list)
    job: str = ""
    verdicts: str = ""
    seconds: float = 0.0

    def show(self) -> str:
        """Return the line of the table."""
        if self.refused:
            return f"{self.name:32} refused: {self.refused[:150]}"
        return (
            f"{self.name:32} {self.format} {self.opset or ''} {self.parameters} parameters, "
            f"difference {self.absolute:.1e} ({self.relative:.1e}), {'/'.join(self.methods)}, "
            f"{self.job} {self.verdicts} {self.seconds:.1f} s"
        )


def main() -> int:
    """Measure, print and keep; return 1 when a difference is too large."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--inputs", type=int, default=10)
    arguments = parser.parse_args()
    shared = Path(os.environ.get("GLOCERT_SHARED_DATA", ROOT.parent / "shared" / "data"))
    entries = _entries(shared)
    lines = []
    with embedded() as url, Client(url) as client:
        for path in sorted((shared / "models").iterdir()):
            if not arguments.names or any(name in path.name for name in arguments.names):
                lines.append(_line(client, shared, path, entries[path.name], arguments.inputs))
                print(lines[-1].show(), flush=True)
                _keep(lines[-1], arguments.inputs)
    covered, known = architectures()
    print(f"{sum(not line.refused for line in lines)} of {len(lines)} files imported")
    print(f"at least {covered} of {known} architectures have only supported operators")
    return 0 if all(line.relative <= compare.TOLERANCE for line in lines) else 1


def _entries(shared: Path) -> dict[str, Mapping[str, Any]]:
    """Return file name -> what the manifest says of its model."""
    manifest = json.loads((shared / "manifest.json").read_text())
    return {name: entry for entry in manifest["models"] for name in entry["files"].values()}


def _shape(path: Path, entry: Mapping[str, Any]) -> list[int] | None:
    """Return what its uploader has to say of the input: TorchScript does not tell."""
    shape = entry["inputs"][0]["shape"][1:]
    return shape if path.suffix == ".pt" and all(isinstance(size, int) for size in shape) else None


def _role(entry: Mapping[str, Any]) -> str:
    """Return what the model is uploaded as: a classifier where there are labels or several scores."""
    shape = [size for size in entry["outputs"][0]["shape"][1:] if size != 1]
    if entry.get("accuracy") or len(shape) == 1:
        return "classifier"
    return "generator" if shape else "regressor"


def _line(client: Client, shared: Path, path: Path, entry: Mapping[str, Any], inputs: int) -> Line:
    line = Line(path.name)
    compare.SAMPLES = SAMPLES
    purpose = Purpose(role=_role(entry))
    with tempfile.TemporaryDirectory() as out:
        try:
            report = inspect_network(
                path,
                Path(out),
                format=None,
                input_shape=_shape(path, entry),
                limits=Limits(),
                purpose=purpose,
            )
        except GlocertError as error:
            nodes = "; ".join(f"{one.where}: {one.detail}" for one in error.offences[:3])
            line.refused = f"{error.detail} {nodes}".strip()
            return line
    found = report["comparison"]
    line.format, line.opset, line.runtime = report["format"], report["opset"], found["runtime"]
    line.operators, line.parameters = sorted(report["operators"]), report["parameters"]
    line.nonlinear = report["nonlinear_units"]
    line.absolute, line.relative = found["max_abs_difference"], found["max_rel_difference"]
    line.methods = [
        f"{name}: {method['admitted']}"
        for name, method in report["methods"].items()
        if method["admitted"] != "no"
    ]
    begun = time.monotonic()
    _attempt(client, shared, path, entry, line, report["input"]["shape"], inputs)
    line.seconds = time.monotonic() - begun
    return line


def _attempt(
    client: Client,
    shared: Path,
    path: Path,
    entry: Mapping[str, Any],
    line: Line,
    shape: Sequence[int],
    inputs: int,
) -> None:
    """Certify a few inputs, and write down how that ended."""
    accuracy = entry.get("accuracy") or {}
    test = next((name for name in accuracy if name.endswith("_test")), None)
    spec = entry.get("preprocess_spec", {}) if test else {}
    mean, std = (np.atleast_1d(spec[name]).tolist() if name in spec else None for name in ("mean", "std"))
    preprocessing = Preprocessing(mean=mean, std=std, layout=spec.get("layout"))
    mutation: dict[str, Any] = {"type": "brightness", "from": 0.0, "to": 0.02}
    role = _role(entry)
    settings: dict[str, Any] = {}
    if role == "generator":
        line.job, line.verdicts = "", "no job: no method admits generators yet"
        return
    if role == "regressor":
        settings = {"property": {"type": "band", "width": BAND}}
    line.job = test or "random inputs"
    try:
        data = client.wait_ready(_data(client, shared, test, shape))
        model = client.wait_ready(
            client.upload_model(path, role=role, preprocessing=preprocessing, input_shape=_shape(path, entry))
        )
        job = client.certify(
            model, data, mutation, limit=inputs, budget={"seconds": JOB_S}, **settings
        ).wait()
        counts = Counter(row["verdict"] for row in job.results())
        line.verdicts = "/".join(
            str(counts[name]) for name in ("certified", "falsified", "undecided", "skipped")
        )
    except ClientError as error:
        line.verdicts = f"no job: {error}"[:200]


def _data(client: Client, shared: Path, test: str | None, shape: Sequence[int]) -> Any:
    """Upload labelled images, or eleven random inputs of the model's own shape."""
    if test is not None:
        return client.upload_dataset(shared / "datasets" / f"{test}.npz")
    inputs = np.random.default_rng(20).random((11, *shape)).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "random.npy"
        buffer = io.BytesIO()
        np.save(buffer, inputs if inputs.ndim > 2 else inputs.reshape(11, 1, -1))
        path.write_bytes(buffer.getvalue())
        return client.upload_dataset(path)


def _keep(line: Line, inputs: int) -> None:
    """Put one file's figures in the place of those that were there."""
    rows = json.loads(RESULTS.read_text())["rows"] if RESULTS.exists() else []
    others = [row for row in rows if row["name"] != line.name]
    kept = {
        "machine": machine(),
        "date": time.strftime("%Y-%m-%d"),
        "samples": SAMPLES,
        "inputs": inputs,
        "rows": sorted([*others, asdict(line)], key=lambda row: row["name"]),
        "architectures": dict(zip(("covered", "known"), architectures(), strict=True)),
    }
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")


def architectures() -> tuple[int, int]:
    """Return how many architectures of those counted in the wild have only operators that are supported.

    The steps are cumulative: an architecture that appears at one needs operators of it and of those before.
    One that appears behind a step with an unsupported operator is not counted, though it may not need it.
    """
    table = json.loads(ARCHITECTURES.read_text())
    covered = 0
    for step in table["steps"]:
        if not set(step["operators"]) <= OPERATORS.keys() | FOLDED:
            break
        covered = step["architectures"]
    return covered, table["known"]


FOLDED = frozenset({"ConstantOfShape", "Equal", "Range", "Shape", "Constant"})
"""operators of constants, which have no place in the table of those that take an activation"""


if __name__ == "__main__":
    sys.exit(main())
