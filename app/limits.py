"""How large a file may be, whoever sends it."""

from __future__ import annotations

from dataclasses import dataclass

from app.errors import PayloadTooLarge


@dataclass(frozen=True, slots=True)
class Limit:
    """How large a file may be, and which setting says so."""

    max_bytes: int
    setting: str

    def refuse(self, what: str) -> PayloadTooLarge:
        """Return the error for more than that."""
        extra = {"limit_bytes": self.max_bytes, "setting": self.setting}
        return PayloadTooLarge(f"{what} is larger than the limit of {self.max_bytes} bytes.", extra=extra)
