"""Commands of a certification child about Lipschitz bounds: prove, certify, wrap, train."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from workers.conversation import Message
from workers.opening import case_of, device_of, optional

if TYPE_CHECKING:
    from glocert.certification.lipschitz import Analysis

BOUND = "bound.safetensors"


def lipschitz_bound(command: Message) -> Iterator[Message]:
    """Measure the accuracy, and prove the constants of the network unless they are known already."""
    from glocert.certification.accuracy import clean_accuracy
    from glocert.certification.lipschitz import analyse, load

    case, indices = case_of(command), command["indices"]
    yield {"event": "accuracy", "outcome": clean_accuracy(case, indices, device=device_of(command))}
    subject = load(case, indices)
    if _known(command["bound"], subject.network.digest()) is not None:
        yield {"event": "bound", "report": None}
        return
    found = analyse(subject, indices)
    (Path(command["out"]) / BOUND).write_bytes(found.to_bytes())
    yield {"event": "bound", "report": found.report()}


def lipschitz(command: Message) -> Iterator[Message]:
    """Certify inputs."""
    from glocert.certification.lipschitz import load, run
    from glocert.errors import GlocertError
    from glocert.spec_lipschitz import LipschitzSpec

    subject = load(case_of(command), command["indices"])
    known = _known(command["bound"], subject.network.digest())
    if known is None:
        raise GlocertError("the bound of the network is of another release")
    for row in run(subject, LipschitzSpec.from_json(command["spec"]), command["indices"], known):
        yield {"event": "result", "index": row.index, "row": row.to_json(), "files": []}


def gloro_wrap(command: Message) -> Iterator[Message]:
    """Write a network that certifies while it answers, and run every file that was written."""
    from glocert.certification.gloro_wrap import WrapSpec, run
    from glocert.graph.ir import Graph
    from glocert.spec import Preprocessing

    outcome = run(
        Graph.from_bytes(Path(command["graph"]).read_bytes()),
        Preprocessing.from_json(command["preprocessing"]),
        WrapSpec.from_json(command["spec"]),
        Path(command["out"]),
        date=command["date"],
    )
    files = [file["name"] for file in outcome.pop("artifacts")]
    yield {"event": "made", "outcome": outcome, "files": files}


def gloro_prediction(command: Message) -> Iterator[Message]:
    """Answer items with a wrapped file that lies in the folder."""
    from glocert.certification.gloro_prediction import Wanted, predict

    folder, indices = Path(command["out"]), command["indices"]
    wanted = Wanted(
        folder, Path(command["inputs"]), optional(command["labels"]), indices, command["spec"]["epsilons"]
    )
    name = f"part-{indices[0]:010d}.npz"
    predict(wanted, folder / name)
    yield {"event": "part", "file": name}


def gloro_training(command: Message) -> Iterator[Message]:
    """Train, or go on from the checkpoint in the folder; every epoch is reported."""
    from glocert.certification.gloro_lesson import Lesson, Wanted
    from glocert.certification.gloro_training import FILES, train
    from glocert.spec import Preprocessing

    held_out = command["validation"]
    lesson = Lesson(
        inputs=Path(command["inputs"]),
        labels=optional(command["labels"]),
        preprocessing=Preprocessing.from_json(command["preprocessing"]),
        graph=optional(command["graph"]),
        validation=None if held_out is None else (Path(held_out[0]), optional(held_out[1])),
    )
    wanted = Wanted.from_json(command["wanted"], fine_tune=lesson.graph is not None)
    running = train(lesson, wanted, Path(command["out"]), device=device_of(command), told=command["told"])
    while True:
        try:
            epoch = next(running)
        except StopIteration as end:
            yield {"event": "made", "outcome": end.value, "files": list(FILES)}
            return
        yield {"event": "epoch", "number": epoch.number, "log": epoch.to_json()}


def _known(path: str | None, digest: str) -> Analysis | None:
    """Read constants that were proven before; None where there are none of this release's."""
    from glocert.certification.lipschitz import Analysis

    if path is None:
        return None
    try:
        return Analysis.from_bytes(Path(path).read_bytes(), digest)
    except ValueError:
        return None
