"""A small server that has imported and compiled everything heavy and forks children that are ready at once.

``python -m workers.forkserver FD`` is started by a worker, which itself never imports torch. FD is a socket
of packets. Each carries two descriptors, the child's end of its conversation and a pipe for its exit status,
and is answered by a packet with the child's pid and a pidfd. The server computes nothing, so that forking it
is safe, and it ends with its worker: the kernel closes the socket, and ``PDEATHSIG`` takes the children.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import selectors
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Sequence

from workers.process import PID, READY, STATUS, die_with_parent

PRELOAD = (
    "numpy",
    "torch",
    "onnx",
    "onnxruntime",
    "safetensors.numpy",
    "PIL.Image",
    "workers.child",
    "workers.inspection",
    "glocert.graph.inspect",
    "glocert.data.inspect",
    "glocert.certification.accuracy",
    "glocert.certification.unit",
    "glocert.precompile",
)


class ForkServer:
    """Forks on request and reports how the children ended."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._selector = selectors.DefaultSelector()
        self._selector.register(control, selectors.EVENT_READ)
        self._status_pipes: dict[int, tuple[int, int]] = {}
        """pidfd -> (pid, pipe for the exit status)"""

    def serve(self) -> None:
        """Answer until the worker is gone."""
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._control:
                    if not self._answer():
                        return
                else:
                    self._bury(key.fd)

    def _answer(self) -> bool:
        packet, descriptors, _, _ = socket.recv_fds(self._control, 16, 2)
        if not packet:
            return False
        conversation, status = descriptors
        pid = os.fork()
        if pid == 0:
            self._become_child(conversation, status)
        os.close(conversation)
        pidfd = os.pidfd_open(pid)
        self._status_pipes[pidfd] = (pid, status)
        self._selector.register(pidfd, selectors.EVENT_READ)
        socket.send_fds(self._control, [PID.pack(pid)], [pidfd])
        return True

    def _become_child(self, conversation: int, status: int) -> None:
        """Run one child in this forked process; never returns."""
        code = 1
        try:
            os.setsid()
            parent = os.getppid()
            self._selector.close()
            self._control.close()
            for descriptor in (
                status,
                *self._status_pipes,
                *(pipe for _, pipe in self._status_pipes.values()),
            ):
                os.close(descriptor)
            die_with_parent(parent)
            from workers import child

            child.converse(socket.socket(fileno=conversation))
            code = 0
        finally:
            os._exit(code)  # nothing of the server's may be flushed or torn down twice

    def _bury(self, pidfd: int) -> None:
        pid, pipe = self._status_pipes.pop(pidfd)
        self._selector.unregister(pidfd)
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(BrokenPipeError):  # the worker did not wait to hear it
            os.write(pipe, STATUS.pack(os.waitstatus_to_exitcode(status)))
        os.close(pipe)
        os.close(pidfd)


def _compile() -> None:
    """Have the loops in memory, so that no child compiles or loads them; it could not keep them."""
    from glocert.precompile import precompile

    try:
        precompile()
    except Exception:  # noqa: BLE001  # only the jobs that need this loop must fail
        traceback.print_exc()


def main(arguments: Sequence[str]) -> None:
    """Import and compile everything, then serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    control = socket.socket(fileno=int(arguments[0]))
    for name in PRELOAD:
        importlib.import_module(name)
    _compile()
    if threading.active_count() > 1:
        raise RuntimeError("an import started a thread: forking would not be safe")
    gc.collect()
    gc.freeze()  # so that collections in the children do not copy what they share
    control.send(READY)
    ForkServer(control).serve()


if __name__ == "__main__":
    main(sys.argv[1:])
