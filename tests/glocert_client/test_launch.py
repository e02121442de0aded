"""``glocert serve`` in and outside a checkout."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

import glocert_client

SERVE = [sys.executable, "-m", "glocert_client.cli", "serve"]


def test_serve_becomes_the_service(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*SERVE, "--port", "0", "--data", str(tmp_path / "data")], stdout=file, stderr=subprocess.STDOUT
        )
    try:
        url = _address(log, process)
        assert httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
        assert list((tmp_path / "data").glob("*.sqlite3"))
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
    assert process.returncode in {0, -signal.SIGTERM}


def test_without_the_servers_code_it_says_so(tmp_path: Path) -> None:
    package = Path(glocert_client.__file__).parent
    shutil.copytree(package, tmp_path / "glocert_client", ignore=shutil.ignore_patterns("__pycache__"))
    done = subprocess.run(
        SERVE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 4
    assert "the server's code is not here" in done.stderr


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"^ready (http://\S+)", log.read_text(errors="replace"), re.MULTILINE):
            return found.group(1)
        time.sleep(0.05)
    raise AssertionError(log.read_text(errors="replace"))
