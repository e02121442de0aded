"""The real embedded service as a child of the tests: SQLite, in-memory broker, worker thread, children."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.servers import LAUNCH

ROOT = Path(__file__).parents[1]
START_S = 60.0
READY = re.compile(r"^ready (http://\S+)", re.MULTILINE)


@contextmanager
def embedded_service(data: Path, environment: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run the service on a free port until the block ends; yields its address.

    Args:
        data: folder of the database and the blobs; the log goes to ``service.log`` in it.
        environment: settings besides those of this process.
    """
    data.mkdir(parents=True, exist_ok=True)
    log = data / "service.log"
    command = [sys.executable, "-m", "workers.embedded", "--port", "0", "--data", str(data)]
    # It must end with the tests even when they are killed.
    parent = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), str(int(signal.SIGTERM)), "same"]
    with log.open("wb") as file:
        process = subprocess.Popen(
            [*parent, *command],
            cwd=ROOT,
            env={**os.environ, "GLOCERT_CHILD_THREADS": "1", **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        found = READY.search(log.read_text(errors="replace"))
        if found:
            return found.group(1)
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise RuntimeError(f"the embedded service did not start:\n{log.read_text(errors='replace')[-4000:]}")
