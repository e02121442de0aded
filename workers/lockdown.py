"""The wall around a child that opens uploads: no privilege, package or container feature is needed for it.

Call ``lock`` in a fresh child process, in this order:

1. import everything that the child will need (torch, onnxruntime, our own rooms): behind the wall no module
   can be loaded from anywhere but ``read``;
2. open what leads to the supervisor (a pipe, a connected socket); it goes on working;
3. call ``lock`` before the first byte of the upload is read and before any thread is started: Landlock binds
   only the calling thread and those that it starts later, so that ``policy="require"`` refuses a process with
   other threads (a freshly forked process has none);
4. keep the returned report with the result of the inspection.

There is no way back: the process ends behind its wall.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from glocert.errors import Offence, SandboxUnavailable
from workers import landlock, seccomp
from workers.kernel import LIBC, failure, machine, syscall

Policy = Literal["require", "best-effort"]
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 1, 4, 24, 38
_CAPABILITY_VERSION_3 = 0x20080522
_LAST_CAPABILITY = 63
_CAPSET = {"x86_64": 126, "aarch64": 91}


def lock(
    read: Iterable[Path],
    write: Iterable[Path],
    *,
    memory_bytes: int | None,
    cpu_s: int | None,
    file_bytes: int,
    open_files: int = 256,
    policy: Policy = "require",
) -> dict[str, str]:
    """Give up, for ever, what reading an upload does not need.

    Args:
        read: files and folders that stay readable: the upload, the interpreter, its libraries.
        write: folders in which files may be made, changed and removed.
        memory_bytes: address space that may be added to what is mapped now; None sets no limit (CUDA).
        cpu_s: seconds of CPU time that may be added to what was used; None sets no limit.
        file_bytes: size of the largest file that may be written.
        open_files: number of descriptors.
        policy: ``require`` raises where a layer is missing, ``best-effort`` goes on with the others.

    Returns:
        Layer -> ``on`` with details, or why it is missing; plain JSON.

    Raises:
        SandboxUnavailable: a layer is missing and the policy requires it; each is an offence.
    """
    LIBC.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    LIBC.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    report = {
        "capabilities": _drop_capabilities(),
        "limits": _limit(memory_bytes, cpu_s, file_bytes, open_files),
        "no_new_privs": "on" if LIBC.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 else "failed",
        "landlock": landlock.restrict(read, write),
        "seccomp": seccomp.install(),
    }
    missing = [Offence(layer, state) for layer, state in report.items() if not state.startswith("on")]
    if missing and policy == "require":
        layers = ", ".join(offence.where for offence in missing)
        raise SandboxUnavailable(f"Uploads are not opened here without these layers: {layers}.", missing)
    return report


def _drop_capabilities() -> str:
    """Empty the capability sets, so that root is nobody in particular."""
    if machine() not in _CAPSET:
        return f"unsupported machine {machine()}"
    for capability in range(_LAST_CAPABILITY + 1):
        LIBC.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
    header = ctypes.create_string_buffer(struct.pack("II", _CAPABILITY_VERSION_3, 0))
    result = syscall(_CAPSET[machine()], header, ctypes.create_string_buffer(24))
    return "on" if result == 0 else failure(result)


def _limit(memory_bytes: int | None, cpu_s: int | None, file_bytes: int, open_files: int) -> str:
    limits = {
        resource.RLIMIT_CORE: (0, 0),
        resource.RLIMIT_MEMLOCK: (0, 0),
        resource.RLIMIT_FSIZE: (file_bytes, file_bytes),
        resource.RLIMIT_NOFILE: (open_files, open_files),
    }
    if cpu_s is not None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        soft = int(used.ru_utime + used.ru_stime) + 1 + cpu_s
        limits[resource.RLIMIT_CPU] = (soft, soft + 2)
    if memory_bytes is not None:
        mapped = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        limits[resource.RLIMIT_AS] = (mapped + memory_bytes, mapped + memory_bytes)
    try:
        for kind, wanted in limits.items():
            _, ceiling = resource.getrlimit(kind)
            bounds = [value if ceiling < 0 else min(value, ceiling) for value in wanted]
            resource.setrlimit(kind, (bounds[0], bounds[1]))
    except (OSError, ValueError) as error:
        return f"failed ({error})"
    return "on"
