"""How the steps of a set-up are shown, and how they end it."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PIP = ["-m", "pip", "--disable-pip-version-check", "--no-input"]


class Stop(Exception):
    """Ends the program with a message that names the way out."""


def say(text: str) -> None:
    """Print a line at once, also into a pipe."""
    print(text, flush=True)


@contextlib.contextmanager
def timed(title: str) -> Iterator[None]:
    """Show a step and how long it took."""
    begin = time.monotonic()
    print(f"  {title} …", end="", flush=True)
    try:
        yield
    except BaseException:
        say(" stopped")
        raise
    say(f" {time.monotonic() - begin:.1f} s")


def quietly(command: Sequence[str], way_out: str, **environment: str) -> str:
    """Run a command that says nothing unless it fails; return its output."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-25:])
        raise Stop(f"{' '.join(command)}\nended with {done.returncode}:\n\n{tail}\n\n{way_out}")
    return done.stdout
