"""A child that locks itself in and tries one thing: ``python -m tests.workers.locked_in THING FOLDER``."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from workers.lockdown import lock

MEMORY = 512 * 2**20
FILE = 2**20


def main(thing: str, folder: Path) -> None:
    """Do it and print how it went."""
    before = prepare(thing, folder)
    system = ("/usr/lib", "/lib", "/lib64", "/proc/self", "/proc/cpuinfo", "/sys/devices/system/cpu")
    code = (sys.prefix, sys.base_prefix, folder / "upload", folder / "kept")
    readable = [Path(path) for path in (*code, *system)]
    # Behind this point nothing can be imported from the repository.
    report = lock(readable, [folder / "out"], memory_bytes=MEMORY, cpu_s=20, file_bytes=FILE)
    try:
        outcome = str(THINGS[thing](folder, before))
    except (OSError, MemoryError, RuntimeError) as error:
        outcome = f"{type(error).__name__} {getattr(error, 'errno', '')}".strip()
    os.write(1, json.dumps({"report": report, "outcome": outcome}).encode())
    os._exit(0)


def prepare(thing: str, folder: Path) -> object:
    """Open or import what must be there before the wall."""
    if thing == "speak to the supervisor":
        return socket.socketpair()
    if thing in {"compute with torch", "run onnxruntime"}:
        import glocert.graph.inspect

        leave_threads()
        return glocert.graph.inspect
    if thing in {"compile a loop", "load a compiled loop"}:
        os.environ["NUMBA_CACHE_DIR"] = str(folder / "kept")
        if thing.startswith("load"):
            compile_it = "import numpy; from tests.workers.loops import total; total(numpy.ones(3))"
            subprocess.run([sys.executable, "-c", compile_it], check=True)
        from tests.workers import loops

        leave_threads()
        return loops.total
    return None


def leave_threads() -> None:
    """Go on in a fork: imports have started threads, and a fork is alone."""
    parent = os.fork()
    if parent:
        os._exit(os.waitstatus_to_exitcode(os.waitpid(parent, 0)[1]))


def run_loop(_folder: Path, before: object) -> str:
    """Run a compiled loop and say where its code is from."""
    import numpy as np

    result = before(np.ones(5))  # type: ignore[operator]
    hits = sum(before.stats.cache_hits.values())  # type: ignore[attr-defined]
    return f"{result} {'loaded' if hits else 'compiled'}"


def inspect(folder: Path, before: object) -> str:
    """Read a network, compare it with its runtime and write the graph."""
    import torch

    torch.set_num_threads(2)
    torch.randn(500, 500) @ torch.randn(500, 500)
    limits = before.Limits()  # type: ignore[attr-defined]
    report = before.inspect_network(  # type: ignore[attr-defined]
        folder / "upload", folder / "out", format=None, input_shape=None, limits=limits
    )
    return str(report["comparison"]["runtime"].split()[0])


def send(_folder: Path, before: object) -> str:
    """Use a socket that was open before."""
    here, there = before  # type: ignore[misc]
    here.sendall(b"x" * 10)
    return there.recv(10).decode()  # type: ignore[no-any-return]


def send_to(_folder: Path, _before: object) -> object:
    """Name an address in sendto."""
    here = ctypes.create_string_buffer(16)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.sendto(1, b"x", 1, 0, here, 16) < 0:
        raise OSError(ctypes.get_errno(), "sendto")
    return "sent"


def thread(_folder: Path, _before: object) -> str:
    """Compute in a thread."""
    found: list[str] = []
    worker = threading.Thread(target=lambda: found.append("computed"))
    worker.start()
    worker.join()
    return found[0]


def limit_again(_folder: Path, _before: object) -> object:
    """Raise a limit that was set."""
    import resource

    try:
        return resource.setrlimit(resource.RLIMIT_FSIZE, (2**40, 2**40))
    except ValueError as error:
        raise PermissionError(1, str(error)) from error


def capabilities(_folder: Path, _before: object) -> str:
    """Say which capabilities are left in any set."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return " ".join(sorted({line.split()[1] for line in lines if line.startswith("Cap")}))


THINGS: dict[str, Callable[[Path, object], object]] = {
    "read /etc/passwd": lambda _f, _b: Path("/etc/passwd").read_text(),
    "read another process": lambda _f, _b: Path("/proc/1/environ").read_bytes(),
    "list the root": lambda _f, _b: next(Path("/").iterdir()),
    "write elsewhere": lambda f, _b: (f / "elsewhere").write_text("x"),
    "overwrite the upload": lambda f, _b: (f / "upload").write_text("x"),
    "remove the upload": lambda f, _b: (f / "upload").unlink(),
    "write a large file": lambda f, _b: (f / "out/large").write_bytes(b"x" * (2 * FILE)),
    "allocate much memory": lambda _f, _b: len(bytearray(2 * MEMORY)),
    "open an inet socket": lambda _f, _b: socket.socket(),
    "open a unix socket": lambda _f, _b: socket.socket(socket.AF_UNIX),
    "open a socket pair": lambda _f, _b: socket.socketpair(),
    "send to an address": send_to,
    "fork": lambda _f, _b: os.fork(),
    "start a process": lambda _f, _b: subprocess.run(["/bin/true"], check=True),
    "exec": lambda _f, _b: os.execv("/bin/true", ["true"]),
    "kill": lambda _f, _b: os.kill(os.getppid(), signal.SIGCONT),
    "link": lambda f, _b: (f / "out/link").symlink_to("/etc/passwd"),
    "hard link": lambda f, _b: os.link(f / "upload", f / "out/link"),
    "change permissions": lambda f, _b: (f / "out").chmod(0o777),
    "change times": lambda f, _b: os.utime(f / "upload"),
    "become somebody": lambda _f, _b: os.setuid(0),
    "raise a limit": limit_again,
    "read the upload": lambda f, _b: (f / "upload").read_bytes()[:5].decode("latin1"),
    "write a result": lambda f, _b: (f / "out/result").write_text("five!"),
    "replace a result": lambda f, _b: (
        (f / "out/a").write_text("x") and (f / "out/a").rename(f / "out/b").name
    ),
    "hold capabilities": capabilities,
    "use a thread": thread,
    "speak to the supervisor": send,
    "compute with torch": inspect,
    "run onnxruntime": inspect,
    "compile a loop": run_loop,
    "load a compiled loop": run_loop,
}

if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
