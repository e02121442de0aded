"""The body of a child process: hears commands, computes, says what it found.

A certification child opens only what inspection left: inert graphs and plain arrays. It keeps no state
between commands, and all commands of one child belong to one job.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

from glocert.errors import GlocertError
from workers.conversation import Message, Reader, encode
from workers.opening import case_of, device_of
from workers.process import die_with_conversation, die_with_parent

OUT_OF_MEMORY = (
    "can't allocate memory",
    "can't start new thread",
    "Cannot allocate memory",
    "Failed to allocate memory",
    "bad_alloc",
    "CUDA out of memory",
    "failed to map segment",
)
"""how libraries say what Python says with MemoryError"""
Command = Callable[[Message], Iterator[Message]]


def converse(conversation: socket.socket) -> None:
    """Carry out commands until the supervisor hangs up."""
    reader = Reader(conversation)
    while (command := reader.wait()) is not None:
        command["conversation"] = conversation
        for message in _answers(command):
            conversation.sendall(encode(message))


def _answers(command: Message) -> Iterator[Message]:
    try:
        yield from _commands()[command["do"]](command)
        yield {"event": "done", "do": command["do"]}
    except GlocertError as error:
        yield {"event": "problem", "problem": error.to_problem()}
    except Exception as error:  # noqa: BLE001  # whatever it is, the supervisor decides what becomes of the unit
        if isinstance(error, MemoryError) or any(sign in str(error) for sign in OUT_OF_MEMORY):
            yield {"event": "exhausted"}
        else:
            yield {"event": "crash", "traceback": traceback.format_exc(limit=-8)}


def _commands() -> dict[str, Command]:
    from workers import generating, inspection, learning, mining

    return {
        "prepare": _prepare,
        "accuracy": _accuracy,
        "segment": _segment,
        "precheck": _precheck,
        "lipschitz-bound": learning.lipschitz_bound,
        "lipschitz": learning.lipschitz,
        "gloro-wrap": learning.gloro_wrap,
        "gloro-training": learning.gloro_training,
        "generator-training": generating.generator_training,
        "gloro-prediction": learning.gloro_prediction,
        "direction-mining": mining.direction_mining,
        "inspect-network": inspection.inspect_network,
        "inspect-dataset": inspection.inspect_dataset,
    }


def _prepare(command: Message) -> Iterator[Message]:
    """Build the wall of a certification child; on CUDA it stays without, as the driver needs devices."""
    import torch

    from workers.lockdown import lock

    torch.set_num_threads(command["threads"])
    tempfile.tempdir = os.environ["TMPDIR"] = command["write"]  # the only folder that it may write to
    if command["device"] == "cpu":
        layers = lock(
            [Path(path) for path in command["read"]],
            [Path(command["write"])],
            memory_bytes=command["memory_bytes"],
            cpu_s=None,
            file_bytes=command["file_bytes"],
            policy="best-effort",  # it opens nothing but what inspection has made
        )
        yield {"event": "sandbox", "report": layers}
    die_with_conversation(command["conversation"])


def _accuracy(command: Message) -> Iterator[Message]:
    from glocert.certification.accuracy import clean_accuracy

    outcome = clean_accuracy(case_of(command), command["indices"], device=device_of(command))
    yield {"event": "accuracy", "outcome": outcome}


def _segment(command: Message) -> Iterator[Message]:
    from glocert.certification.journal import Journal, State
    from glocert.certification.unit import run
    from glocert.spec import SegmentSpec

    def tell(index: int, state: State) -> None:
        # at once, as the next result may be minutes away
        command["conversation"].sendall(encode({"event": "partial", "index": index, "state": state}))

    reports = run(
        case_of(command),
        SegmentSpec.from_json(command["spec"]),
        command["indices"],
        Path(command["out"]),
        device=device_of(command),
        block_bytes=command["block_bytes"],
        journal=Journal(dict(command["known"]), tell, command["partial_s"]),
    )
    for report in reports:
        yield {"event": "result", "index": report.index, "row": report.to_json(), "files": list(report.files)}


def _precheck(command: Message) -> Iterator[Message]:
    from glocert.certification.precheck import Wanted, precheck
    from glocert.spec import Mutation

    asked = command["spec"]["mutation"]
    wanted = Wanted(
        command["indices"],
        None if asked is None else Mutation.from_json(asked),
        classifier=command["role"] == "classifier",
        workers=command["workers"],
        block_bytes=command["block_bytes"],
    )
    running = precheck(case_of(command), wanted, Path(command["out"]), device=device_of(command))
    while True:
        try:
            share = next(running)
        except StopIteration as end:
            yield {"event": "prechecked", "outcome": end.value}
            return
        yield {"event": "progress", "done": int(share * len(wanted.indices))}


if __name__ == "__main__":
    die_with_parent(os.getppid())
    converse(socket.socket(fileno=int(sys.argv[1])))
