"""What the machine code of a function depends on: its bytecode, and the values that were compiled in."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

from numba.core.dispatcher import Dispatcher

_FIRST: dict[FunctionType, bytes] = {}
"""function -> what it was made of when it was first looked at"""


class Unkept(Exception):
    """A function whose machine code must not outlive the process."""


def substance(dispatcher: Any) -> bytes:
    """Return a digest of all that is compiled into a function.

    That is its bytecode, the options, and every global that it names: of a function that it may call the same
    again, of anything else the value, as numba makes constants of globals. What it names of modules of its
    own package is looked up (``rounding.UNIT``).

    Raises:
        Unkept: a global has another value than earlier in this process, and code of both may have been mixed;
            or a function was made inside another one or is a lambda: in machine code numba tells functions of
            one name apart by a number that each process counts for itself.
        Exception: a value has no digest, whatever pickle says about it.
    """
    seen: dict[FunctionType, bytes] = {}
    _collect(dispatcher, seen)
    return hashlib.sha256(b"".join(sorted(seen.values()))).digest()


def _collect(function: Any, seen: dict[FunctionType, bytes]) -> None:
    """Add the digest of a function, and those of what it calls."""
    options: object = None
    if isinstance(function, Dispatcher):
        options = sorted((name, _ordered(value)) for name, value in function.targetoptions.items())
        function = function.py_func
    if function in seen:
        return
    if "<" in function.__qualname__:
        raise Unkept(function.__qualname__)
    called, values = [], []
    for name, value in _outer(function):
        if isinstance(value, Dispatcher) or (type(value) is FunctionType and _ours(value, function)):
            called.append(value)
        elif not isinstance(value, ModuleType):
            values.append((name, hashlib.sha256(pickle.dumps(value, protocol=4)).digest()))
    parts = function.__qualname__, options, _code(function.__code__), function.__defaults__, sorted(values)
    seen[function] = hashlib.sha256(repr(parts).encode()).digest()
    if _FIRST.setdefault(function, seen[function]) != seen[function]:
        raise Unkept(function.__qualname__)
    for value in called:
        _collect(value, seen)


def _ordered(option: Any) -> Any:
    """Return an option as it looks in every process: the order of a set differs."""
    return sorted(option) if isinstance(option, set | frozenset) else option


def _outer(function: FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield what the names in a function may stand for outside of it."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    yield from ((name, cell.cell_contents) for name, cell in cells)
    names = set(_names(function.__code__))
    for name in names & function.__globals__.keys():
        value = function.__globals__[name]
        yield name, value
        if isinstance(value, ModuleType) and _package(value.__name__) == _package(function.__module__):
            yield from ((f"{name}.{part}", getattr(value, part)) for part in names if hasattr(value, part))


def _names(code: CodeType) -> Iterator[str]:
    """Yield the globals and attributes that a function and those inside it name."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _code(code: CodeType) -> tuple[object, ...]:
    """Return what bytecode does, without where it was written."""
    constants = [_code(part) if isinstance(part, CodeType) else repr(part) for part in code.co_consts]
    names = code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars
    counts = code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount, code.co_flags
    return code.co_code, code.co_exceptiontable, constants, names, counts


def _ours(value: FunctionType, function: FunctionType) -> bool:
    return _package(value.__module__) == _package(function.__module__)


def _package(module: str) -> str:
    return module.partition(".")[0]
