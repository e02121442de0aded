"""Commands of a certification child about generators: train."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from workers.conversation import Message
from workers.opening import device_of, optional


def generator_training(command: Message) -> Iterator[Message]:
    """Train, or go on from the checkpoint in the folder; every epoch is reported, and what can be seen."""
    from glocert.certification.generator_training import FILES, SHOWN, Source, train

    source = Source(Path(command["inputs"]), optional(command["targets"]), command["share"], command["known"])
    folder, device = Path(command["out"]), device_of(command)
    running = train(source, command["recipe"], folder, device=device, told=command["told"])
    while True:
        try:
            epoch = next(running)
        except StopIteration as end:
            yield {"event": "made", "outcome": end.value, "files": list(FILES)}
            return
        yield {"event": "epoch", "number": epoch.number, "log": epoch.to_json(), "files": list(SHOWN)}
