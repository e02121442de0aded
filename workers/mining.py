"""The command of a certification child that looks for directions of a generator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.conversation import Message
from workers.opening import optional

if TYPE_CHECKING:
    from glocert.certification.case import Source
    from glocert.certification.mining_files import MiningCase


def direction_mining(command: Message) -> Iterator[Message]:
    """Look for directions, measure and draw them."""
    from glocert.certification.mining import run
    from glocert.certification.mining_spec import MiningSpec

    running = run(
        _case(command),
        MiningSpec.from_json(command["spec"]),
        command["indices"],
        Path(command["out"]),
        samples=command["spec"]["samples"],
        block_bytes=command["block_bytes"],
    )
    while True:
        try:
            stage = next(running)
        except StopIteration as end:
            outcome = end.value
            yield {"event": "made", "outcome": outcome, "files": outcome.pop("files")}
            return
        yield {"event": "progress", "done": stage}


def _case(command: Message) -> MiningCase:
    from glocert.certification.mining_files import MiningCase

    inputs, labels = command["data"]
    encoder = command["encoder"]
    return MiningCase(
        _source(command["generator"]),
        command["card"],
        None if encoder is None else _source(encoder),
        optional(inputs),
        optional(labels),
    )


def _source(told: list[Any]) -> Source:
    from glocert.certification.case import Source
    from glocert.spec import Preprocessing

    graph, preprocessing = told
    return Source(Path(graph), Preprocessing.from_json(preprocessing))
