"""Files of machine code: one for each compiled function, types of its arguments and kind of processor.

numba has a store of its own, which is not used. It takes one source file to stand for all that was compiled
in, so that a helper or a constant of another file may be an old one; it believes what it reads; two processes
that write at once may give each other's code the wrong types; it reads only where it may write; and what goes
wrong with a file ends the call. Here a file names all that its code depends on and carries a digest of both,
and whatever is wrong with it, the function is compiled anew.

Files are unpickled: who writes one decides what this process does. They are looked for in these folders and
written to the first where that is possible:

1. ``glocert`` in the folder that ``NUMBA_CACHE_DIR`` names,
2. ``__pycache__`` beside the source, with Python's own compiled files,
3. ``glocert`` in the user's cache folder.

The first and the last must belong to the user of the process or to root, and be writable by nobody else.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import pickle
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import llvmlite
import numba
import numpy
from numba import types
from numba.core import sigutils
from numba.core.compiler import CompileResult
from numba.core.serialize import dumps

from glocert.machine_code.substance import substance

PLACE = "NUMBA_CACHE_DIR"
DIGEST_BYTES = hashlib.sha256().digest_size
OTHERS_WRITE = 0o022
Kinds = tuple[str, ...]


class Store:
    """The kept machine code of one function, as numba's dispatcher asks for it."""

    def __init__(self, dispatcher: Any) -> None:
        self._dispatcher = dispatcher
        self._source = Path(dispatcher.py_func.__code__.co_filename)

    @property
    def cache_path(self) -> str:
        """Where numba's statistics say that the code is kept."""
        return str(self._source.parent / "__pycache__")

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the kept code for a signature, ready to run, or None."""
        try:
            target.refresh()
            kinds = _kinds(signature)
            name, key = self._name(kinds, target), self._key(kinds, target)
            for folder in self._folders():
                content = _opened(folder / name, key)
                if content is not None:
                    return CompileResult._rebuild(target, *pickle.loads(content))  # noqa: S301
        except Exception:  # noqa: BLE001, S110  # whatever it is, the function can be compiled
            pass
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep what was compiled, where that is possible."""
        try:
            if result.library.has_dynamic_globals or result.lifted:
                return  # it holds addresses of this process
            kinds, target = _kinds(signature), result.target_context
            name, content = self._name(kinds, target), dumps(result._reduce())
            sealed = _sealed(self._key(kinds, target), content)
            for folder in self._folders(make=True):
                if _written(folder / name, sealed):
                    return
        except Exception:  # noqa: BLE001, S110  # the next process compiles it again
            pass

    def flush(self) -> None:
        """Do nothing: numba asks for it before it compiles anew, and then the files are replaced."""

    def _folders(self, *, make: bool = False) -> Iterator[Path]:
        if os.environ.get(PLACE):
            yield from _own(Path(os.environ[PLACE], "glocert"), make=make)
        beside = self._source.parent / "__pycache__"
        if make:
            with contextlib.suppress(OSError):
                beside.mkdir(exist_ok=True)
        yield beside
        caches = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
        yield from _own(Path(caches, "glocert").expanduser(), make=make)

    def _name(self, kinds: Kinds, target: Any) -> str:
        """Return a name for what may lie side by side: newer code takes the place of older."""
        function = self._dispatcher.py_func.__qualname__
        parts = str(self._source), function, sys.implementation.cache_tag, _machine(target), kinds
        return f"{self._source.stem}.{function}-{_digest(parts).hex()[:16]}.loop"

    def _key(self, kinds: Kinds, target: Any) -> bytes:
        """Return a digest of everything that the code depends on."""
        tools = sys.version, numba.__version__, llvmlite.__version__, numpy.__version__, _machine(target)
        wishes = sorted(
            pair for pair in os.environ.items() if pair[0].startswith("NUMBA_") and pair[0] != PLACE
        )
        return _digest((kinds, tools, wishes, substance(self._dispatcher)))


def _kinds(signature: Any) -> Kinds:
    """Return the names of the types of the arguments.

    Raises:
        ValueError: a name does not say all about its type, as that of a function.
    """
    arguments = sigutils.normalize_signature(signature)[0]
    if not all(_plain(kind) for kind in arguments):
        raise ValueError(signature)
    return tuple(str(kind) for kind in arguments)


def _plain(kind: Any) -> bool:
    if isinstance(kind, (types.Array, types.UniTuple)):
        return _plain(kind.dtype)
    if isinstance(kind, types.Tuple):
        return all(_plain(part) for part in kind.types)
    return isinstance(kind, (types.Number, types.Boolean, types.NoneType))


def _machine(target: Any) -> tuple[str, ...]:
    """Return architecture, processor and its features, for which numba compiles."""
    return tuple(target.codegen().magic_tuple())


def _digest(parts: object) -> bytes:
    return hashlib.sha256(repr(parts).encode()).digest()


def _sealed(key: bytes, content: bytes) -> bytes:
    return hashlib.sha256(key + content).digest() + key + content


def _opened(path: Path, key: bytes) -> bytes | None:
    """Return the content of a file, if it is whole and the one that is wanted."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    content = data[2 * DIGEST_BYTES :]
    return content if data == _sealed(key, content) else None


def _written(path: Path, data: bytes) -> bool:
    """Write a file that nobody ever sees half written; say whether that worked."""
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        draft.write_bytes(data)
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        return False
    return True


def _own(folder: Path, *, make: bool) -> Iterator[Path]:
    """Yield a folder that nobody but this process's user and root can have written to."""
    with contextlib.suppress(OSError):
        if make:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        facts = folder.stat()
        if facts.st_uid in (0, os.geteuid()) and not facts.st_mode & OTHERS_WRITE:
            yield folder
