from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from glocert.budget import Budget
from glocert.segments import prepare
from glocert.segments.runs import run
from glocert.segments.walk import blocks
from tests.glocert.segments.networks import mlp, random_segment

ROOT = Path(__file__).parents[3]
MEASURE = """
import resource, sys
import numpy as np
from glocert.budget import Budget
from glocert.segments import certify, prepare
from tests.glocert.segments.networks import Draft, scalar_line
draft, x = Draft(1), "x"
for _ in range(13):
    x = draft.relu(draft.gemm(x, np.array([[2.0], [4.0]]), np.array([0.0, -2.0])))
    x = draft.gemm(x, np.array([[1.0, -1.0]]))
rng = np.random.default_rng(0)
x = draft.relu(draft.gemm(x, rng.standard_normal((3000, 1))))
graph = draft.graph(draft.gemm(x, rng.standard_normal((3, 3000)) / 50, np.array([100.0, 0.0, 0.0])))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
report = certify(prepare(graph), scalar_line(), 0, budget=Budget(block_bytes=2**23))
print(report.pieces, report.verdict.value, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_stays_bounded_at_many_pieces():
    """All at once the last layer would take 8192 vertices of 3000 numbers: 188 MiB for each tensor."""
    command = [sys.executable, "-c", MEASURE]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    pieces, verdict, grown_kib = output.split()
    assert int(pieces) >= 2**13
    assert verdict == "certified"
    assert int(grown_kib) < 80 * 1024


def test_blocks_arrive_in_order_and_the_first_one_early():
    rng = np.random.default_rng(0)
    program = prepare(mlp(rng, 10, 50, 50, 50, 3))
    looks: list[int] = []

    def clock() -> float:
        looks.append(1)
        return 0.0

    arrived = blocks(
        program, random_segment(rng, (10,)), Budget(block_bytes=2**13, deadline=1.0, clock=clock)
    )
    first = run(program, next(arrived))
    until_first = len(looks)
    assert first.t[0] == 0.0
    ends = [first.t[-1]]
    for block in arrived:
        part = run(program, block)
        assert part.t[0] == ends[-1]
        ends.append(part.t[-1])
    assert ends[-1] == 1.0
    assert until_first < len(looks) / 4
