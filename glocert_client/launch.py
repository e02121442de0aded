"""Starts the server's own programs, which live in a checkout and not in the wheel."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NoReturn

from glocert_client.errors import ClientError

START_S = 60.0
READY = re.compile(r"^ready (http://\S+)", re.MULTILINE)
MARKS = ("workers/embedded.py", "app/main.py")


def checkout() -> Path:
    """Return the root of the checkout: the current folder, or the one that this package was run from.

    Raises:
        ClientError: neither holds the server's code.
    """
    for root in (Path.cwd(), Path(__file__).resolve().parents[1]):
        if all((root / mark).is_file() for mark in MARKS):
            return root
    raise ClientError(
        "the server's code is not here: run this in a checkout of GloCert, or use docker compose up"
    )


@contextmanager
def reaching(server: str, *, local: bool) -> Iterator[str]:
    """Yield the address of a service: the given one, or one of our own that ends with the block.

    Raises:
        ClientError: the server's code is not here, or it does not start.
    """
    if not local:
        yield server
        return
    with tempfile.TemporaryDirectory(prefix="glocert-") as folder:
        command = [sys.executable, "-m", "workers.embedded", "--port", "0", "--data", folder]
        log = Path(folder) / "service.log"
        with log.open("wb") as file:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter
                command, cwd=checkout(), stdin=subprocess.DEVNULL, stdout=file, stderr=file
            )
        try:
            yield _address(process, log)
        finally:
            process.terminate()
            process.wait()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline and process.poll() is None:
        if found := READY.search(log.read_text(errors="replace")):
            return found.group(1)
        time.sleep(0.05)
    raise ClientError(f"the service does not start: {log.read_text(errors='replace')[-1000:]}")


def become_core(module: str, arguments: Sequence[str]) -> NoReturn:
    """Turn this process into ``python -m module``, a program of the library that needs no checkout.

    Raises:
        ClientError: the library's own dependencies are not installed.
    """
    if importlib.util.find_spec("torch") is None:
        raise ClientError('this needs the library: pip install "glocert[core]"')
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 - our own interpreter


def become(module: str, arguments: Sequence[str]) -> NoReturn:
    """Turn this process into ``python -m module``, so that signals and the exit code need no relay.

    Raises:
        ClientError: the server's code is not here.
    """
    root = checkout()
    sys.stdout.flush()
    sys.stderr.flush()
    os.chdir(root)
    os.execv(sys.executable, [sys.executable, "-m", module, *arguments])  # noqa: S606 - our own interpreter
