"""What the commands of a child have in common: the files of a job, and the device."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.conversation import Message

if TYPE_CHECKING:
    from glocert.certification.case import Case, LatentCase


def case_of(command: Message) -> Case:
    """Return where the files of a job are."""
    from glocert.certification.case import Case
    from glocert.spec import Preprocessing

    return Case(
        graph=Path(command["graph"]),
        inputs=Path(command["inputs"]),
        labels=optional(command["labels"]),
        preprocessing=Preprocessing.from_json(command["preprocessing"]),
        latent=_latent(command.get("latent")),
    )


def _latent(sources: Mapping[str, Any] | None) -> LatentCase | None:
    """Return where generator and encoder are: for each its graph and its preprocessing."""
    from glocert.certification.case import LatentCase, Source
    from glocert.spec import Preprocessing

    if sources is None:
        return None
    found = {
        role: Source(Path(path), Preprocessing.from_json(settings))
        for role, (path, settings) in sources.items()
    }
    return LatentCase(found["generator"], found.get("encoder"))


def optional(path: str | None) -> Path | None:
    """Return a path that may be missing."""
    return None if path is None else Path(path)


def device_of(command: Message) -> str:
    """Return what torch calls the device; ``auto`` falls back to the CPU where torch has no CUDA."""
    import torch

    if command["device"] == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    return str(command["device"])
