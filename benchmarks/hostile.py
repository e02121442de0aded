"""Every hostile file: what the service answers, how soon, and what the child that read it took.

``python3 dev.py bench hostile``: the files that the tests make, and where the shared data are its files and
the bombs of its script (``make_hostile.py --bombs``, into a temporary folder). Each is uploaded to a running
service, which gives answer and seconds, and inspected once more by itself, which gives the memory.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil

from benchmarks.latency import machine
from benchmarks.service import ROOT, embedded
from tests.hostile.registry import files
from tests.inspecting import Inspector

RESULTS = ROOT / "benchmarks" / "results" / "hostile.json"
TARGET_S, TARGET_BYTES = 5.0, 2**30


@dataclass(frozen=True, slots=True)
class File:
    """A file to upload."""

    name: str
    wrong: str
    data: bytes
    is_data: bool
    shape: tuple[int, ...] | None = None


@dataclass
class Line:
    """What became of one file."""

    name: str
    wrong: str
    origin: str
    kib: int
    answer: str
    seconds: float
    peak_mib: int

    @property
    def holds(self) -> bool:
        """Whether it was answered soon enough, in little memory, by the child itself."""
        in_time = self.seconds < TARGET_S and self.peak_mib < TARGET_BYTES >> 20
        return in_time and self.answer != "inspection-failed"


def main() -> int:
    """Upload, print and keep; return 1 when an answer is late, large or missing."""
    lines = []
    with tempfile.TemporaryDirectory(prefix="glocert-hostile-") as folder:
        marker = Path(folder) / "marker"
        os.environ["HOSTILE_MARKER"] = str(marker)
        with (
            embedded({"GLOCERT_MAX_MODELS": "100000", "GLOCERT_MAX_DATASETS": "100000"}) as url,
            httpx.Client(base_url=url, timeout=120, trust_env=False) as client,
            Inspector(inspection_s=60) as inspector,
        ):
            for origin, file in _all(Path(folder)):
                lines.append(_line(client, inspector, origin, file))
                line = lines[-1]
                print(f"{'' if line.holds else '! '}{line.name:40} {line.kib:8} KiB  {line.answer:24} "
                      f"{line.seconds:6.2f} s {line.peak_mib:5} MiB", flush=True)  # fmt: skip
            ran = marker.exists() or list(Path.cwd().glob("HOSTILE_CODE_RAN"))
            ready = client.get("/readyz").json()["ready"]
        orphans = [one.pid for one in psutil.Process().children(recursive=True) if one.is_running()]
    late = [line.name for line in lines if not line.holds]
    print(f"{len(lines)} files, {len(late)} not as they should be: {', '.join(late) or 'none'}")
    print(f"code of a file ran: {bool(ran)}; service ready afterwards: {ready}; orphans: {len(orphans)}")
    kept = {"machine": machine(), "date": time.strftime("%Y-%m-%d"), "ran": bool(ran), "ready": bool(ready),
            "orphans": len(orphans), "rows": [asdict(line) for line in lines]}  # fmt: skip
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n")
    return 1 if late or ran or orphans or not ready else 0


def _all(folder: Path) -> Iterator[tuple[str, File]]:
    for made in files():
        yield "tests", File(made.name, made.wrong, made.make(), made.is_data, made.input_shape)
    shared = Path(os.environ.get("GLOCERT_SHARED_DATA", ROOT.parent / "shared" / "data")) / "hostile"
    if not shared.is_dir():
        return
    for entry in json.loads((shared / "manifest.json").read_text())["files"]:
        data = (shared / entry["file"]).read_bytes()
        yield "shared", File(entry["file"], entry["what_is_wrong"], data, entry["upload_as"] == "dataset")
    script = shared / "make_hostile.py"
    command = [sys.executable, "-W", "ignore", str(script), "--bombs", "--out", str(folder)]
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    for path in sorted((folder / "bombs").iterdir()):
        yield "bombs", File(path.name, "eight gigabytes of zeros", path.read_bytes(), path.suffix == ".npz")


def _line(client: httpx.Client, inspector: Inspector, origin: str, file: File) -> Line:
    name = Path(file.name).name
    route = "/v1/datasets" if file.is_data else "/v1/models"
    begun = time.monotonic()
    found = _uploaded(client, route, name, file)
    seconds = time.monotonic() - begun
    if file.is_data:
        outcome = inspector.dataset(file.data, name)
    else:
        shape = None if file.shape is None else list(file.shape)
        outcome = inspector.model(file.data, name, input_shape=shape)
    return Line(
        file.name,
        file.wrong,
        origin,
        len(file.data) >> 10,
        found,
        round(seconds, 2),
        outcome.peak_bytes >> 20,
    )


def _uploaded(client: httpx.Client, route: str, name: str, file: File) -> str:
    """Return the code of the refusal, or the status of an upload that was taken."""
    fields = {} if file.shape is None else {"input_shape": json.dumps(list(file.shape))}
    answer = client.post(route, files={"file": (name, file.data)}, data=fields)
    if answer.status_code >= 400:
        return _code(answer.json())
    found: dict[str, Any] = client.get(f"{route}/{answer.json()['id']}", params={"wait": 60}).json()
    return _code(found["rejection"]) if found["status"] == "rejected" else str(found["status"])


def _code(problem: dict[str, Any]) -> str:
    return str(problem["type"]).removeprefix("/problems/")


if __name__ == "__main__":
    sys.exit(main())
