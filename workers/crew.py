"""The child at work on one subject: kept between units of the same job, dismissed after any trouble."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import time
from pathlib import Path
from types import TracebackType

from app.settings import Settings
from models import UnitKind
from workers import briefs
from workers.children import Child, Nursery
from workers.conversation import Message

LEFT_S = 24 * 3600.0
"""no unit takes so long: an older folder was left by a worker that was killed"""


def sweep_scratch(settings: Settings) -> None:
    """Remove the scratch folders of workers that were killed."""
    limit = time.time() - LEFT_S
    for folder in (settings.data_dir / "scratch").glob("*"):
        with contextlib.suppress(OSError):
            if folder.stat().st_mtime < limit:
                shutil.rmtree(folder)


class Crew:
    """A scratch folder and at most one child; both are gone when the work on the subject pauses."""

    def __init__(self, settings: Settings, nursery: Nursery) -> None:
        self._settings, self._nursery = settings, nursery
        self._child: Child | None = None
        self._folder = settings.data_dir / "scratch" / secrets.token_hex(8)
        self.device = nursery.device

    def __enter__(self) -> Crew:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.dismiss()

    def child(self, kind: UnitKind) -> Child:
        """Return a child for a unit of this kind; certification children serve one unit after the other."""
        if self._child is None:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._child = self._new(kind)
        return self._child

    def out(self, unit_id: str) -> Path:
        """Return a new folder for what a unit writes."""
        folder = self._folder / unit_id
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def dismiss(self) -> None:
        """Kill the child and remove what it wrote."""
        if self._child is not None:
            self._child.kill()
            self._child = None
        shutil.rmtree(self._folder, ignore_errors=True)

    def _new(self, kind: UnitKind) -> Child:
        if kind in {UnitKind.INSPECT_NETWORK, UnitKind.INSPECT_DATASET}:
            return self._nursery.inspector()
        child = self._nursery.certifier()
        child.tell(self._preparation())
        return child

    def _preparation(self) -> Message:
        return briefs.prepare(self._settings, self._folder, self.device)
