"""The C library's allocator, told to keep the memory of activations.

glibc takes tensors above a threshold from the kernel one by one, and gives the end of its heap back as soon
as that is free. An engine frees what a round took and asks for as much in the next one, and every page that
comes anew has to be cleared and mapped: thousands of faults for the rounds of sixteen questions about a small
convolutional network, up to a tenth of their time. With the settings below there are almost none, and the
process holds no more at its peak.
"""

from __future__ import annotations

import ctypes
import os
import platform
from functools import cache

_MAPPED = 32 * 2**20
"""bytes from which a tensor is mapped by itself: the largest value that glibc takes"""
_KEPT = 128 * 2**20
"""free bytes at the end of the heap above which they are given back"""
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_ASKED = frozenset({"MALLOC_MMAP_THRESHOLD_", "MALLOC_TRIM_THRESHOLD_", "MALLOC_TOP_PAD_", "GLIBC_TUNABLES"})


@cache
def keep_memory(library: str | None = None) -> bool:
    """Make glibc keep what rounds free, in the whole process and once in it.

    Args:
        library: name of the C library; None asks the system.

    Returns:
        Whether it does. Nothing is changed with any other C library, nor where the environment has settings
        of its own.
    """
    library = platform.libc_ver()[0] if library is None else library
    if library != "glibc" or _ASKED & os.environ.keys():
        return False
    try:
        set_option = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):  # another allocator in its place may have no such function
        return False
    settings = (_M_MMAP_THRESHOLD, _MAPPED), (_M_TRIM_THRESHOLD, _KEPT)
    return all(set_option(option, value) == 1 for option, value in settings)
