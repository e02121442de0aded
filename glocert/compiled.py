"""Loops that numba compiles for the processor: the CPU's way through work that torch would do in many calls.

Results are those of IEEE arithmetic in the order that is written, operation by operation: nothing is
reassociated or approximated, so what is proven about an expression holds for its compiled form. Products that
may be fused into sums, and sums whose bound holds for every order, have decorators of their own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar, cast, overload

import numba

from glocert.machine_code.store import Store

Function = TypeVar("Function", bound=Callable[..., Any])
OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": False}

SIGNATURES: dict[Any, tuple[str, ...]] = {}
"""numba's dispatcher of every compiled function that has been imported -> the signatures that it states"""


@overload
def compiled(function: Function, /) -> Function: ...


@overload
def compiled(*signatures: str) -> Callable[[Function], Function]: ...


def compiled(*given: Any) -> Any:
    """Compile a function for the types that it is called with, and keep the machine code for later processes.

    Divisions by zero give infinities as numpy's do. A number beside a float32 makes the result float64, other
    than with numpy: write ``np.float32(0.5)``. Where nothing can be kept each process compiles anew, as it
    does with functions that were made inside others.

    ``@compiled("(F[:, ::1], int64)", …)`` states what Python calls it with, in numba's words, so that
    ``glocert.precompile`` compiles it before the first job; ``F`` stands for float64 and, in a signature of
    its own, for float32. Other types are compiled when they come. What compiled functions alone call needs no
    signature: ``@compiled``.
    """
    return _decorated(given, OPTIONS)


@overload
def fusing(function: Function, /) -> Function: ...


@overload
def fusing(*signatures: str) -> Callable[[Function], Function]: ...


def fusing(*given: Any) -> Any:
    """Compile a function whose products may be fused into the sums that they are added to, rounding once.

    Only for functions whose error bound counts a rounding of every product. Otherwise as ``compiled``.
    """
    return _decorated(given, {**OPTIONS, "fastmath": {"contract"}, "_nrt": False})


@overload
def summing(function: Function, /) -> Function: ...


@overload
def summing(*signatures: str) -> Callable[[Function], Function]: ...


def summing(*given: Any) -> Any:
    """Compile a function whose sums may be added in any order, products fused into them or not.

    Only for functions whose error bound holds for every order, as gamma(n) does. Numbers that are not finite
    are still treated as such. Signatures as in ``compiled``.
    """
    return _decorated(given, {**OPTIONS, "fastmath": {"reassoc", "nsz", "contract"}})


def inlined(function: Function) -> Function:
    """Make a function a part of every compiled function that calls it, compiled as that one is.

    For bodies of a few instructions on slices, where a call would cost more than they do.
    """
    dispatcher: Any = numba.njit(inline="always")(function)
    return cast("Function", dispatcher)


def _decorated(given: tuple[Any, ...], options: dict[str, Any]) -> Any:
    if len(given) == 1 and callable(given[0]):
        return _compiled(given[0], (), options)
    return lambda function: _compiled(function, given, options)


def _compiled(function: Function, signatures: tuple[str, ...], options: dict[str, Any]) -> Function:
    dispatcher: Any = numba.njit(**options)(function)
    if dispatcher is not function:  # as it is with NUMBA_DISABLE_JIT
        dispatcher._cache = Store(dispatcher)
        SIGNATURES[dispatcher] = tuple(text for given in signatures for text in _for_each_float(given))
    return cast("Function", dispatcher)


def _for_each_float(signature: str) -> list[str]:
    """Write out what ``F`` stands for."""
    return list(dict.fromkeys(re.sub(r"\bF\b", kind, signature) for kind in ("float64", "float32")))
