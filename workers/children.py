"""Starting, hearing and killing child processes, seen from the worker, which itself never imports torch."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from app.settings import Settings
from workers.conversation import Message, Reader, encode
from workers.process import PID, READY, STATUS

ROOT = Path(__file__).parents[1]
START_S = 300.0
"""longest wait for the fork server, which first imports torch and compiles what no file keeps"""
GONE_S = 5.0
INHERITED = (
    "PATH",
    "LANG",
    "LC_ALL",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "NUMBA_CACHE_DIR",
    "CUDA_VISIBLE_DEVICES",
    "CUDA_DEVICE_ORDER",
    "NVIDIA_VISIBLE_DEVICES",
    "NVIDIA_DRIVER_CAPABILITIES",
)
"""all that a child sees of the environment: no addresses, no keys"""


class ChildrenUnavailable(Exception):
    """No child can be started now."""


class Child:
    """One child process and the conversation with it."""

    def __init__(self, pid: int, pidfd: int, end: socket.socket, exit_code: Callable[[], int | None]) -> None:
        self.pid = pid
        self._pidfd = pidfd
        self._end = end
        self._end.setblocking(False)
        self._reader = Reader(end)
        self._exit_code = exit_code

    def tell(self, message: Message) -> None:
        """Send a command; a child that has died is noticed by its exit code."""
        self._end.settimeout(10.0)
        with contextlib.suppress(OSError):
            self._end.sendall(encode(message))
        self._end.setblocking(False)

    def hear(self, timeout_s: float) -> list[Message]:
        """Return what the child has said, waiting a little for it.

        Raises:
            workers.conversation.Garbled: it was no message.
        """
        if not self._reader.ended:
            _readable(self._end.fileno(), timeout_s)
        return self._reader.available()

    @property
    def silent(self) -> bool:
        """Whether nothing more can come."""
        return self._reader.ended

    def exit_code(self) -> int | None:
        """Return the exit code, minus the signal that killed it, or None while it lives."""
        return self._exit_code()

    def resident_bytes(self) -> int:
        """Return the memory that the child has in use now."""
        try:
            return int(psutil.Process(self.pid).memory_info().rss)
        except psutil.Error:
            return 0

    def kill(self) -> None:
        """Kill the child and whatever it started, and wait until it is gone."""
        if self._pidfd < 0:
            return
        with contextlib.suppress(ProcessLookupError, PermissionError):
            if self._exit_code() is None:
                os.killpg(self.pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._pidfd, signal.SIGKILL)
        _readable(self._pidfd, GONE_S)
        deadline = time.monotonic() + 1.0
        while self._exit_code() is None and time.monotonic() < deadline:
            time.sleep(0.005)  # the fork server is burying it
        os.close(self._pidfd)
        self._pidfd = -1
        self._end.close()


class Nursery:
    """Makes children: forked from a warm server on the CPU, started afresh where CUDA is used."""

    def __init__(self, settings: Settings) -> None:
        self._environment = child_environment(os.environ)
        self._cuda = uses_cuda(settings)
        self._device = settings.device if self._cuda else "cpu"
        self._server: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._ready = False
        self._lock = threading.Lock()

    @property
    def device(self) -> str:
        """What certification children are told to compute on."""
        return self._device

    def warm(self, *, wait: bool = False) -> None:
        """Start the fork server, so that no unit waits for its imports while it holds a lease.

        Raises:
            ChildrenUnavailable: it does not start.
        """
        with self._lock:
            control = self._connected()
            try:
                if wait:
                    self._await_ready(control)
            except OSError as error:
                raise ChildrenUnavailable(f"the fork server does not start: {error}") from error

    def inspector(self) -> Child:
        """Return a child that will read an upload; it never sees a GPU."""
        return self._forked()

    def certifier(self) -> Child:
        """Return a child that will compute."""
        return self._fresh() if self._cuda else self._forked()

    def close(self) -> None:
        """End the fork server, and with it every child of it."""
        with self._lock:
            self._end_server()

    def _forked(self) -> Child:
        ours, theirs = socket.socketpair()
        status, status_end = os.pipe()
        try:
            pid, pidfd = self._ask(theirs.fileno(), status_end)
        except OSError as error:
            ours.close()
            os.close(status)
            self.close()
            raise ChildrenUnavailable(str(error)) from error
        finally:
            theirs.close()
            os.close(status_end)
        return Child(pid, pidfd, ours, StatusPipe(status))

    def _ask(self, conversation: int, status: int) -> tuple[int, int]:
        with self._lock:
            control = self._connected()
            self._await_ready(control)
            socket.send_fds(control, [b"fork"], [conversation, status])
            packet, descriptors, _, _ = socket.recv_fds(control, PID.size, 1)
        if not packet:
            raise ConnectionError("the fork server has ended")
        return PID.unpack(packet)[0], descriptors[0]

    def _connected(self) -> socket.socket:
        if self._server is not None and self._server.poll() is None and self._control is not None:
            return self._control
        self._end_server()
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control.settimeout(START_S)
        self._server = _start("workers.forkserver", theirs, self._environment)
        self._ready = False
        return self._control

    def _end_server(self) -> None:
        if self._control is not None:
            self._control.close()
        if self._server is not None:
            self._server.kill()
            self._server.wait()
        self._server = self._control = None

    def _await_ready(self, control: socket.socket) -> None:
        if not self._ready:
            if control.recv(len(READY)) != READY:
                raise ConnectionError("it has ended")
            self._ready = True

    def _fresh(self) -> Child:
        ours, theirs = socket.socketpair()
        process = _start("workers.child", theirs, self._environment)
        return Child(process.pid, os.pidfd_open(process.pid), ours, process.poll)


class StatusPipe:
    """The exit code of a child that is not ours to wait for, as the fork server reports it."""

    def __init__(self, pipe: int) -> None:
        self._pipe = pipe
        self._code: int | None = None

    def __call__(self) -> int | None:
        """Return the exit code, or None while the child lives."""
        if self._code is None and _readable(self._pipe, 0):
            packet = os.read(self._pipe, STATUS.size)
            # the pipe of a server that died says nothing: its children were killed with it
            self._code = STATUS.unpack(packet)[0] if packet else -int(signal.SIGKILL)
            os.close(self._pipe)
        return self._code


def child_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the little that a child may know."""
    kept = {name: environment[name] for name in INHERITED if name in environment}
    # Threads that wait for work must sleep: spinning, they keep each other and everybody else from the cores,
    # and small networks take ten times as long on a machine that has other things to do.
    own = {
        "PYTHONPATH": str(ROOT),
        "PYTHONSAFEPATH": "1",
        "PYTHONUNBUFFERED": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }
    return kept | own


def uses_cuda(settings: Settings) -> bool:
    """Whether certification children compute on a GPU; found out without loading torch."""
    if settings.device != "auto":
        return settings.device == "cuda"
    return Path("/dev/nvidiactl").exists() and os.environ.get("CUDA_VISIBLE_DEVICES") != ""


def _start(module: str, end: socket.socket, environment: dict[str, str]) -> subprocess.Popen[bytes]:
    with end:
        return subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", module, str(end.fileno())],
            env=environment,
            pass_fds=[end.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
            cwd=ROOT,
        )


def _readable(descriptor: int, timeout_s: float) -> bool:
    poll = select.poll()  # select() refuses descriptors above 1023
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(int(timeout_s * 1000)))
