"""How far a reader of a job's events has come."""

from __future__ import annotations

from dataclasses import dataclass

UNSEEN = -1
DIGITS = 18


@dataclass(frozen=True, slots=True)
class Seen:
    """What a reader knows.

    Attributes:
        version: of the job's document, ``UNSEEN`` before the first one.
        epochs: of the learning curve.
    """

    version: int = UNSEEN
    epochs: int = 0

    @property
    def id(self) -> str:
        """The id of the event that has made it so: the version, and the epochs of a training."""
        return f"{self.version}.{self.epochs}" if self.epochs else str(self.version)


def read_id(last_event_id: str | None) -> Seen:
    """Read an id that came back; what is none means that nothing was seen."""
    version, _, epochs = (last_event_id or "").partition(".")
    return Seen(_number(version, UNSEEN), _number(epochs, 0))


def _number(text: str, otherwise: int) -> int:
    digits = text.removeprefix("-")
    known = digits.isascii() and digits.isdecimal() and len(digits) <= DIGITS
    return int(text) if known else otherwise
