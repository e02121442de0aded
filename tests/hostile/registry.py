"""The hostile files that the tests make themselves: one function each, by the name of the file."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from dataclasses import dataclass

Maker = Callable[[], bytes]
_FAMILIES = ("containers", "graphs", "attributes", "functions", "torch_archives", "exports", "tables")


@dataclass(frozen=True, slots=True)
class Hostile:
    """A file that must be refused.

    Attributes:
        name: with its extension.
        wrong: what is wrong with it, from the docstring of its maker.
        make: writes it.
        input_shape: what its uploader says of the input.
    """

    name: str
    wrong: str
    make: Maker
    input_shape: tuple[int, ...] | None = None

    @property
    def is_data(self) -> bool:
        """Whether it is uploaded as a data set."""
        return self.name.startswith("data-")


_FILES: dict[str, Hostile] = {}


def hostile(name: str, input_shape: tuple[int, ...] | None = None) -> Callable[[Maker], Maker]:
    """Register the maker of a file."""

    def register(make: Maker) -> Maker:
        assert name not in _FILES, name
        _FILES[name] = Hostile(name, (make.__doc__ or "").strip().rstrip("."), make, input_shape)
        return make

    return register


@functools.cache
def files() -> tuple[Hostile, ...]:
    """Return all of them."""
    for family in _FAMILIES:
        importlib.import_module(f"tests.hostile.{family}")
    return tuple(_FILES[name] for name in sorted(_FILES))
