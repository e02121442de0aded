"""Become the right user, promise to die with the parent, then turn into a server.

``python -I -S launch.py PARENT SIGNAL USER PROGRAM ARGUMENT…`` is a program of its own, so that nothing but
``execve`` happens between fork and exec of a test process full of threads.  USER is ``same``, a number to
``setuid`` to, or ``namespace``: uid 1000 of a user namespace in which it is still our own uid outside.
PostgreSQL refuses to run as root; neither way needs an account or changes a permission.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

PR_SET_PDEATHSIG = 1
CLONE_NEWUSER = 0x10000000


def _enter_namespace(libc: ctypes.CDLL) -> None:
    user, group = os.getuid(), os.getgid()
    if libc.unshare(CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "no user namespaces here")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"1000 {user} 1")
    Path("/proc/self/gid_map").write_text(f"1000 {group} 1")


def _become(user: str, libc: ctypes.CDLL) -> None:
    if user == "namespace":
        _enter_namespace(libc)
    elif user != "same":
        os.setgroups([])
        os.setresgid(int(user), int(user), int(user))
        os.setresuid(int(user), int(user), int(user))


def main(parent: str, death: str, user: str, *command: str) -> None:
    """Exec ``command``; leave at once when the parent has gone already."""
    libc = ctypes.CDLL(None, use_errno=True)
    os.setsid()
    _become(user, libc)
    libc.prctl(PR_SET_PDEATHSIG, int(death), 0, 0, 0)  # a change of user clears it, so it comes after
    if os.getppid() != int(parent):
        sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
