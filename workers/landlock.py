"""Landlock: which files a process may see from now on. Source: the kernel's userspace-api/landlock.rst."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path

from workers.kernel import failure, syscall

# These numbers are the same on every architecture.
_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION_FLAG, _PATH_BENEATH, _TSYNC = 1, 1, 1 << 3
_TSYNC_SINCE = 8

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR, _REMOVE_DIR, _REMOVE_FILE = (1 << bit for bit in range(6))
_MAKE_DIR, _MAKE_REG = 1 << 7, 1 << 8
_REFER, _TRUNCATE, _IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
_READING = _READ_FILE | _READ_DIR
_WRITING = _READING | _WRITE_FILE | _REMOVE_DIR | _REMOVE_FILE | _MAKE_DIR | _MAKE_REG | _TRUNCATE
_ON_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEV


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("net", ctypes.c_uint64), ("scoped", ctypes.c_uint64))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("parent", ctypes.c_int32))


def restrict(read: Iterable[Path], write: Iterable[Path]) -> str:
    """Deny every file but those; also TCP, abstract sockets and signals where the kernel can.

    Args:
        read: files and folders to read.
        write: folders to read and write in.

    Returns:
        ``on (abi …)``, or why not.
    """
    abi = syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION_FLAG))
    if abi < 1:
        return f"unavailable ({os.strerror(-abi)})"
    others = len(list(Path("/proc/self/task").iterdir())) - 1
    if others and abi < _TSYNC_SINCE:
        return f"failed ({others} threads were started before)"
    rules = _rules(abi)
    ruleset = syscall(_CREATE_RULESET, ctypes.byref(rules), ctypes.c_size_t(_size(abi)), ctypes.c_uint32(0))
    if ruleset < 0:
        return failure(ruleset)
    try:
        for paths, rights in ((read, _READING), (write, _WRITING)):
            for path in paths:
                result = _allow(ruleset, path, rights & rules.files)
                if result < 0:
                    return f"{failure(result)} for {path}"
        flags = _TSYNC if others else 0
        result = syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(flags))
    finally:
        os.close(ruleset)
    return f"on (abi {abi})" if result == 0 else failure(result)


def _rules(abi: int) -> _Ruleset:
    """Everything that this version of Landlock can deny."""
    files = (1 << 13) - 1
    files |= (_REFER if abi >= 2 else 0) | (_TRUNCATE if abi >= 3 else 0) | (_IOCTL_DEV if abi >= 5 else 0)
    return _Ruleset(files, 0b11 if abi >= 4 else 0, 0b11 if abi >= 6 else 0)


def _size(abi: int) -> int:
    """How much of the structure the kernel knows."""
    return 24 if abi >= 6 else 16 if abi >= 4 else 8


def _allow(ruleset: int, path: Path, rights: int) -> int:
    try:
        parent = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0  # what is not there needs no permission
    try:
        rule = _PathBeneath(rights if path.is_dir() else rights & _ON_FILES, parent)
        return syscall(
            _ADD_RULE,
            ctypes.c_int(ruleset),
            ctypes.c_uint32(_PATH_BENEATH),
            ctypes.byref(rule),
            ctypes.c_uint32(0),
        )
    finally:
        os.close(parent)
