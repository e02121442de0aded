"""Starts the server's own programs, which live in a checkout and not in the wheel."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from glocert_client.errors import ClientError

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
