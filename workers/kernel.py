"""System calls that Python has no function for."""

from __future__ import annotations

import ctypes
import os
import platform
from typing import Any

LIBC = ctypes.CDLL(None, use_errno=True)


def machine() -> str:
    """Name of the processor's architecture."""
    return platform.machine()


def syscall(number: int, *arguments: Any) -> int:
    """Call the kernel; a negative result is the error number."""
    result = int(LIBC.syscall(ctypes.c_long(number), *arguments))
    return result if result >= 0 else -ctypes.get_errno()


def failure(result: int) -> str:
    """Say what a negative result means."""
    return f"failed ({os.strerror(-result)})"
