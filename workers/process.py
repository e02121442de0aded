"""What every child process does first, whichever way it was started."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import socket
import struct
import threading

STATUS = struct.Struct("!i")
"""how a child ended: its exit code, or minus the number of the signal"""
READY = b"ready"
PID = struct.Struct("!i")
PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends; leave at once when it has ended."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)


def die_with_conversation(conversation: socket.socket) -> None:
    """End this process when the other end hangs up, as a supervisor that is killed does.

    It starts a thread, so a process that is to be locked down must have been before.
    """
    poll = select.poll()
    poll.register(conversation.fileno(), select.POLLRDHUP)

    def watch() -> None:
        poll.poll()
        os._exit(1)

    threading.Thread(target=watch, name="hang-up", daemon=True).start()
