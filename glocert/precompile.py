"""Compile every loop before it is needed: ``python -m glocert.precompile``.

An image does so when it is built, ``dev.py`` when it sets up, and a worker before its first job. What is kept
already is only loaded. The command compiles the loops of several packages at the same time.
"""

from __future__ import annotations

import importlib
import os
import re
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

from numba.core import sigutils

from glocert.compiled import SIGNATURES

ROOM = Path(__file__).parent
USES = re.compile(r"^from glocert\.compiled import", re.MULTILINE)


def precompile(wanted: Sequence[str] | None = None) -> int:
    """Compile or load every signature that a function of this package states; return how many there are.

    Args:
        wanted: modules whose functions are compiled; all by default, and whatever else was imported.
    """
    chosen = modules() if wanted is None else wanted
    for module in chosen:
        importlib.import_module(module)
    stated = [
        (dispatcher, text)
        for dispatcher, texts in SIGNATURES.items()
        if wanted is None or dispatcher.__module__ in chosen
        for text in texts
    ]
    for dispatcher, text in stated:
        dispatcher.compile(sigutils.normalize_signature(text)[0])
    return len(stated)


def side_by_side() -> int:
    """Do so in several processes, each with the modules of a folder: their loops call each other.

    Returns:
        How many there are in this package.
    """
    folders: dict[str, list[str]] = {}
    for name in modules():
        folders.setdefault(name.rpartition(".")[0], []).append(name)
    with ProcessPoolExecutor(min(len(folders), os.cpu_count() or 1), get_context("spawn")) as pool:
        return sum(pool.map(precompile, sorted(folders.values(), key=len, reverse=True)))


def modules() -> list[str]:
    """Return the modules that compile functions, found by their source, so that none is forgotten."""
    files = (path for path in sorted(ROOM.rglob("*.py")) if USES.search(path.read_text()))
    found = (path.relative_to(ROOM.parent).with_suffix("").parts for path in files)
    return [".".join(parts) for parts in found if parts != ("glocert", "precompile")]


if __name__ == "__main__":
    began = time.monotonic()
    count = side_by_side()
    sys.stdout.write(f"{count} loops are compiled after {time.monotonic() - began:.1f} s\n")
