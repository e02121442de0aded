"""An embedded service of the benchmark's own, in a temporary folder."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]


@contextmanager
def embedded(settings: Mapping[str, str] | None = None) -> Iterator[str]:
    """Start ``python -m workers.embedded`` on a free port, yield its address, stop it."""
    with tempfile.TemporaryDirectory(prefix="glocert-bench-") as folder:
        log = Path(folder) / "service.log"
        environment = {**os.environ, "GLOCERT_LOG_LEVEL": "WARNING", **(settings or {})}
        with log.open("wb") as file:
            service = subprocess.Popen(
                [sys.executable, "-m", "workers.embedded", "--port", "0", "--data", f"{folder}/data"],
                cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=file, text=True,
            )  # fmt: skip
        try:
            yield _address(service, log)
        finally:
            service.terminate()
            service.wait(30)


def _address(service: subprocess.Popen[str], log: Path) -> str:
    """Return the address in the line that says that the service is ready."""
    assert service.stdout is not None
    for line in service.stdout:
        if line.startswith("ready "):
            return line.split()[1]
    raise RuntimeError(f"the service did not start:\n{log.read_text()[-2000:]}")
