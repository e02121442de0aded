"""Loops that numba compiles for the processor: the CPU's way through work that torch would do in many calls.

Results are those of IEEE arithmetic in the order that is written, operation by operation: nothing is
reassociated or approximated, so what is proven about an expression holds for its compiled form.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar, cast

import numba

F = TypeVar("F", bound=Callable[..., Any])


def compiled(function: F) -> F:
    """Compile a function for the types that it is called with, and keep the machine code for later processes.

    Divisions by zero give infinities as numpy's do. Where nothing can be kept, each process compiles anew.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": False}
    try:
        return cast("F", numba.njit(cache=True, **options)(function))
    except RuntimeError:  # no folder to keep it in
        return cast("F", numba.njit(**options)(function))
