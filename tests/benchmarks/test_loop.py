"""A run of some contenders on some networks leaves what is known of the others."""

from __future__ import annotations

from typing import Any

from benchmarks.loop import beside


def row(network: str, kind: str, **contenders: float) -> dict[str, Any]:
    return {"network": network, "kind": kind, "contenders": contenders}


def test_what_was_left_out_stays_as_it_was():
    before = [
        row("mnist_fc_256x2", "chord 1", engine=2.0, curve=3.0),
        row("mnist_tiny_20", "chord 1", engine=1.0),
    ]
    now = [
        row("mnist_fc_256x2", "chord 1", engine=1.5, mass=1.0),
        row("mnist_fc_256x2", "brightness", engine=4.0),
    ]
    assert beside(before, now) == [
        row("mnist_tiny_20", "chord 1", engine=1.0),
        row("mnist_fc_256x2", "chord 1", engine=1.5, curve=3.0, mass=1.0),
        row("mnist_fc_256x2", "brightness", engine=4.0),
    ]


def test_a_ratio_stays_with_its_two_contenders_and_never_spans_two_runs():
    before = row("mnist_tiny_20", "chord 1", grid=4.0, curve=2.0, engine=3.0, bare=2.0)
    now = row("mnist_tiny_20", "chord 1", engine=1.0)
    (found,) = beside([{**before, "events": 2.0, "proof": 1.5}], [now])
    assert found["events"] == 2.0
    assert "proof" not in found


def test_the_first_run_has_nothing_beside_it():
    assert beside([], [row("mnist_tiny_20", "chord 1", engine=1.0)]) == [
        row("mnist_tiny_20", "chord 1", engine=1.0)
    ]
