"""The tour against the real embedded service."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tests.embedded import ROOT, embedded_service

ROW = re.compile(
    r"^(brightness|contrast|fog)\S+\s+(ONNX|TorchScript)\s+(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s", re.MULTILINE
)


def test_the_tour_shows_the_main_job(tmp_path: Path) -> None:
    with embedded_service(tmp_path / "data") as url:
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "examples.tour", "--url", url],
            cwd=ROOT,
            env={**os.environ, "GLOCERT_DATA_DIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=240,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    rows = ROW.findall(done.stdout)
    assert [(name, kind) for name, kind, *_ in rows] == [
        ("brightness", "ONNX"),
        ("contrast", "ONNX"),
        ("fog", "ONNX"),
        ("brightness", "TorchScript"),
    ]
    assert all(sum(map(int, counts)) == 60 for _, _, *counts in rows)
    assert rows[0][2:] == rows[3][2:]
    assert "agree on all 60 verdicts" in done.stdout
    turned = re.search(r"through a generator, 10 digits: (\d+) certified, (\d+) falsified", done.stdout)
    assert turned is not None
    assert int(turned[1]) > 5
    (picture,) = (tmp_path / "tour").glob("counterexample-*.png")
    assert str(picture) in done.stdout
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert f"{url}/docs\n" in done.stdout
    assert re.search(rf"{url}/v1/jobs/job_\w+\n.*{url}/v1/jobs/job_\w+/certificate\n", done.stdout)


def test_without_a_service_it_says_so() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "examples.tour", "--url", "nowhere"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 4
    assert "is not an address" in done.stderr
