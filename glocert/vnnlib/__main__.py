"""``python -m glocert.vnnlib MODEL PROPERTY``: answer a VNN-LIB property in the words of the competition.

Exit codes: 0 unsat, 1 sat, 2 unknown, 3 timeout, 4 the model or the property is refused.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from glocert.budget import Budget
from glocert.errors import GlocertError
from glocert.vnnlib import Network, Result, decide, read_property

_CODES = {Result.UNSAT: 0, Result.SAT: 1, Result.UNKNOWN: 2, Result.TIMEOUT: 3}


def main(arguments: Sequence[str] | None = None) -> int:
    """Decide, print, and write the result file where one is asked for."""
    given = _parser().parse_args(arguments)
    budget = Budget(time.monotonic() + given.timeout)
    try:
        network = Network.read(given.model.read_bytes())
        answer = decide(network, read_property(given.question.read_bytes()), budget)
        if given.result is not None:
            given.result.write_text(answer.text())
    except GlocertError as refusal:
        sys.stderr.write(f"{refusal.title}: {refusal.detail}\n")
        return 4
    except OSError as failure:
        sys.stderr.write(f"{failure.filename}: {failure.strerror}\n")
        return 4
    sys.stdout.write(answer.text())
    sys.stderr.write(f"{answer.boxes} boxes{': ' if answer.reason else ''}{answer.reason}\n")
    return _CODES[answer.result]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="glocert vnnlib", description=__doc__)
    parser.add_argument("model", type=Path, help="ONNX file, gzipped or not")
    parser.add_argument("question", metavar="property", type=Path, help="VNN-LIB file, gzipped or not")
    parser.add_argument("--timeout", type=float, default=300.0, help="seconds")
    parser.add_argument("--result", type=Path, help="file for the result, in the format of VNN-COMP")
    return parser


if __name__ == "__main__":
    sys.exit(main())
