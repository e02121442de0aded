"""Inspection of one upload as a worker does it, without service and database: fork, lock down, open, answer.

The command is the one that workers build from rows and settings; the child is forked by their fork server and
builds its own wall. What is added here is a measurement: seconds, and the child's largest resident memory.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from app.settings import Settings
from app.storage import BlobStore
from models import Dataset, Network
from workers import briefs, findings
from workers.children import Child, Nursery
from workers.conversation import Garbled, Message

ACCEPTED = "accepted"
CRASH, EXHAUSTED, OVERDUE, DIED = "crash", "exhausted", "overdue", "died"
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
_LOOK_S = 0.05


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one inspection ended.

    Attributes:
        end: ``accepted``, the code of a refusal, or how the child failed: ``crash`` (an exception that is no
            refusal), ``exhausted`` (memory), ``overdue`` (time), ``died`` (by itself).
        detail: the sentence of the refusal, or what is known of the failure.
        seconds: from the command to the answer.
        peak_bytes: largest resident memory of the child, what it shares with the fork server included.
        report: of an accepted upload.
        errors: what the refusal says is at fault.
    """

    end: str
    detail: str = ""
    seconds: float = 0.0
    peak_bytes: int = 0
    report: Mapping[str, Any] = field(default_factory=dict)
    errors: tuple[Mapping[str, str], ...] = ()

    @property
    def orderly(self) -> bool:
        """Whether the child itself gave the answer."""
        return self.end not in {CRASH, EXHAUSTED, OVERDUE, DIED}


class Inspector:
    """A fork server and a folder of uploads; every inspection has a child of its own."""

    def __init__(self, **options: Any) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="glocert-inspect-"))
        self.settings = Settings(data_dir=self.folder, device="cpu", **options)
        self._store = BlobStore(self.folder)
        self._nursery = Nursery(self.settings)

    def __enter__(self) -> Inspector:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._nursery.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def model(self, data: bytes, filename: str = "model", **columns: Any) -> Outcome:
        """Inspect a network; ``columns`` are those of its row that are set (``format``, ``input_shape``)."""
        row = Network(sha256=self._stored(data), filename=filename, **columns)
        return self._inspected(briefs._inspect_network, row)

    def dataset(self, data: bytes, filename: str) -> Outcome:
        """Inspect a data set."""
        return self._inspected(briefs._inspect_dataset, Dataset(sha256=self._stored(data), filename=filename))

    def _stored(self, data: bytes) -> str:
        shutil.rmtree(self.folder / "blobs", ignore_errors=True)
        self._store = BlobStore(self.folder)
        with self._store.incoming() as incoming:
            incoming.write(data)
            return incoming.keep().sha256

    def _inspected(self, brief: Any, row: Any) -> Outcome:
        out = self.folder / "out"
        shutil.rmtree(out, ignore_errors=True)
        out.mkdir()
        child = self._nursery.inspector()
        try:
            child.tell(brief(row, self.settings, self._store, out) | {"device": "cpu"})
            return _Watch(child, self.settings).outcome()
        finally:
            child.kill()


class _Watch:
    """Listens to one child within the limits of the settings."""

    def __init__(self, child: Child, settings: Settings) -> None:
        self._child, self._settings = child, settings
        self._began, self._peak = time.monotonic(), 0

    def outcome(self) -> Outcome:
        """Wait for the answer, or end the child."""
        while True:
            end = self._heard() or self._exceeded()
            self._weigh()
            if end is not None:
                return Outcome(seconds=time.monotonic() - self._began, peak_bytes=self._peak, **end)

    def _heard(self) -> dict[str, Any] | None:
        try:
            for message in self._child.hear(_LOOK_S):
                end = _answer(message)
                if end is not None:
                    return end
        except Garbled as error:
            return {"end": DIED, "detail": f"It said something that is no message ({error})."}
        return self._post_mortem() if self._child.silent else None

    def _post_mortem(self) -> dict[str, Any]:
        give_up = time.monotonic() + 2.0
        while (code := self._child.exit_code()) is None and time.monotonic() < give_up:
            time.sleep(0.01)
        return {"end": DIED, "detail": findings.cause_of_death(code, self._settings)[0]}

    def _exceeded(self) -> dict[str, Any] | None:
        if time.monotonic() - self._began > self._settings.inspection_s:
            return {"end": OVERDUE, "detail": f"It took longer than {self._settings.inspection_s:g} s."}
        if self._child.resident_bytes() > self._settings.inspection_bytes:
            return {"end": EXHAUSTED, "detail": "It used more memory than is allowed."}
        return None

    def _weigh(self) -> None:
        with contextlib.suppress(OSError):
            found = _PEAK.search(Path(f"/proc/{self._child.pid}/status").read_text())
            if found:
                self._peak = max(self._peak, int(found[1]) * 1024)


def _answer(message: Message) -> dict[str, Any] | None:
    """Read what the child says; None where more is to come."""
    event = message.get("event")
    if event == "inspected":
        return {"end": ACCEPTED, "report": message["report"]}
    if event == "problem":
        problem = findings.problem(message.get("problem"))
        code = problem["type"].removeprefix("/problems/")
        return {"end": code, "detail": problem["detail"], "errors": tuple(problem.get("errors", ()))}
    if event == "exhausted":
        return {"end": EXHAUSTED, "detail": "It asked for more memory than is allowed."}
    if event == "crash":
        return {"end": CRASH, "detail": str(message.get("traceback"))[-4000:]}
    raise Garbled(f"unexpected event {event!r}")
