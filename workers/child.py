"""The body of a child process: hears commands, computes, says what it found.

A certification child opens only what inspection left: inert graphs and plain arrays. It keeps no state
between commands, and all commands of one child belong to one job.
"""

from __future__ import annotations

import os
import socket
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from glocert.errors import GlocertError
from workers.conversation import Message, Reader, encode
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
    from workers import inspection

    return {
        "prepare": _prepare,
        "accuracy": _accuracy,
        "segment": _segment,
        "precheck": _precheck,
        "inspect-network": inspection.inspect_network,
        "inspect-dataset": inspection.inspect_dataset,
    }


def _prepare(command: Message) -> Iterator[Message]:
    """Build the wall of a certification child; on CUDA it stays without, as the driver needs devices."""
    import torch

    from workers.lockdown import lock

    torch.set_num_threads(command["threads"])
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

    outcome = clean_accuracy(_case(command), command["indices"], device=_device(command))
    yield {"event": "accuracy", "outcome": outcome}


def _segment(command: Message) -> Iterator[Message]:
    from glocert.certification.unit import run
    from glocert.spec import SegmentSpec

    reports = run(
        _case(command),
        SegmentSpec.from_json(command["spec"]),
        command["indices"],
        Path(command["out"]),
        device=_device(command),
        block_bytes=command["block_bytes"],
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
    running = precheck(_case(command), wanted, Path(command["out"]), device=_device(command))
    while True:
        try:
            share = next(running)
        except StopIteration as end:
            yield {"event": "prechecked", "outcome": end.value}
            return
        yield {"event": "progress", "done": int(share * len(wanted.indices))}


def _case(command: Message) -> Any:
    from glocert.certification.case import Case
    from glocert.spec import Preprocessing

    labels = command["labels"]
    return Case(
        graph=Path(command["graph"]),
        inputs=Path(command["inputs"]),
        labels=None if labels is None else Path(labels),
        preprocessing=Preprocessing.from_json(command["preprocessing"]),
    )


def _device(command: Message) -> str:
    """Return what torch calls the device; ``auto`` falls back to the CPU where torch has no CUDA."""
    import torch

    if command["device"] == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return str(command["device"])


if __name__ == "__main__":
    die_with_parent(os.getppid())
    converse(socket.socket(fileno=int(sys.argv[1])))
