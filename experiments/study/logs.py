"""What every part of the study takes and leaves behind."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from benchmarks.latency import machine

LOGS = Path(__file__).parents[1] / "logs"


def options(
    parser: argparse.ArgumentParser, arguments: Sequence[str] | None, *, data: bool = True
) -> argparse.Namespace:
    """Add the options that all parts have, read them, and set the threads; without ``data`` all is drawn."""
    if data:
        parser.add_argument("--data", type=Path, required=True, help="folder of the archives")
    parser.add_argument("--out", type=Path, default=Path(".glocert/experiments/study"), help="for networks")
    parser.add_argument("--threads", type=int, default=2)
    chosen = parser.parse_args(arguments)
    torch.set_num_threads(chosen.threads)
    return chosen


def keep(name: str, result: dict[str, Any]) -> None:
    """Write a result with the machine and the date, where ``docs/study.md`` is made from."""
    LOGS.mkdir(exist_ok=True)
    whole = {"machine": machine(), "date": time.strftime("%Y-%m-%d"), **result}
    (LOGS / f"study-{name}.json").write_text(json.dumps(whole, indent=1) + "\n")
