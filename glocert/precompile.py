"""Compile every loop before it is needed: ``python -m glocert.precompile``.

An image does so when it is built, ``dev.py`` when it sets up, and a worker before its first job. What is kept
already is only loaded.
"""

from __future__ import annotations

import importlib
import re
import sys
import time
from pathlib import Path

from numba.core import sigutils

from glocert.compiled import SIGNATURES

ROOM = Path(__file__).parent
USES = re.compile(r"^from glocert\.compiled import", re.MULTILINE)


def precompile() -> int:
    """Compile or load every signature that a function of this package states; return how many there are."""
    for module in modules():
        importlib.import_module(module)
    stated = [(dispatcher, text) for dispatcher, texts in SIGNATURES.items() for text in texts]
    for dispatcher, text in stated:
        dispatcher.compile(sigutils.normalize_signature(text)[0])
    return len(stated)


def modules() -> list[str]:
    """Return the modules that compile functions, found by their source, so that none is forgotten."""
    files = (path for path in sorted(ROOM.rglob("*.py")) if USES.search(path.read_text()))
    found = (path.relative_to(ROOM.parent).with_suffix("").parts for path in files)
    return [".".join(parts) for parts in found if parts != ("glocert", "precompile")]


if __name__ == "__main__":
    began = time.monotonic()
    count = precompile()
    sys.stdout.write(f"{count} loops are compiled after {time.monotonic() - began:.1f} s\n")
