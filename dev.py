#!/usr/bin/env python3
"""Everything one does with a checkout: run it, test it, check it, measure it.

Needs nothing but Python. The environment in .venv is made on the first call (requirements/environment.py);
later calls find it up to date and start at once.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from requirements.environment import PYTHON, VENV, check_machine, set_up
from requirements.locks import locks_answer, make_locks
from requirements.steps import ROOT, Stop, say, timed

PORT = 8321
START_S, STOP_S = 60.0, 30.0
CHECKS = {
    "lint": ["ruff", "check", "."],
    "format": ["ruff", "format", "--check", "."],
    "types": ["mypy"],
    "imports": ["lint-imports"],
    "openapi.json": ["python", "-m", "app.openapi", "--check"],
}


def become(*command: str) -> None:
    """Turn into a program of the environment: signals and exit code are its own from here on."""
    os.chdir(ROOT)
    sys.stdout.flush()
    program = str(VENV / "bin" / command[0])
    os.execv(program, [program, *command[1:]])


def test(arguments: argparse.Namespace) -> int:
    """Run pytest with the arguments that follow, in parallel unless they say otherwise."""
    set_up("service", "test")
    serial = {"-n", "--pdb", "--numprocesses", "-p", "--collect-only", "--co"}
    parallel = not any(word.partition("=")[0] in serial or word.startswith("-n") for word in arguments.rest)
    processes = min(8, max(2, len(os.sched_getaffinity(0))))
    spread = ["-n", str(processes), "--dist", "worksteal"] if parallel else []
    become("python", "-m", "pytest", *spread, *arguments.rest)
    return 1


def check(arguments: argparse.Namespace) -> int:
    """Run all static checks, side by side, and all of them even when one fails."""
    set_up("service", "test")
    failed = [] if locks_answer() else ["locks"]
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for title, done in zip(CHECKS, pool.map(_checked, CHECKS.values()), strict=True):
            say(f"== {title}\n{done.stdout.rstrip()}")
            if done.returncode:
                failed.append(title)
    say(f"checks failed: {', '.join(failed)}" if failed else "all checks passed")
    return 1 if failed else 0


def _checked(command: Sequence[str]) -> subprocess.CompletedProcess[str]:
    """Run one check and keep what it says, in its order and in colour if that is what the reader sees."""
    colour = {"FORCE_COLOR": "1"} if sys.stdout.isatty() else {}
    return subprocess.run(
        [str(VENV / "bin" / command[0]), *command[1:]],
        cwd=ROOT,
        env={**os.environ, **colour},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def bench(arguments: argparse.Namespace) -> int:
    """Run the benchmarks."""
    set_up("service", "test")
    become("python", "-m", "benchmarks", *arguments.rest)
    return 1


def fuzz(arguments: argparse.Namespace) -> int:
    """Throw mutated models and data at the inspection; ``--count``, ``--seed``, ``--minutes``."""
    set_up("service", "test")
    become("python", "-W", "ignore", "-m", "tests.fuzz", *arguments.rest)
    return 1


def docs(arguments: argparse.Namespace) -> int:
    """Write the generated pages of the manual; ``--check`` says whether they are current."""
    set_up("service", "test")
    become("python", "-W", "ignore", "-m", "pages", *arguments.rest)
    return 1


def migrate(arguments: argparse.Namespace) -> int:
    """Bring the database of the settings to the newest migration."""
    set_up("service")
    become("python", "-m", "alembic", "upgrade", *(arguments.rest or ["head"]))
    return 1


def revision(arguments: argparse.Namespace) -> int:
    """Draft a migration from the difference between rows and database: `revision "add x to y"`."""
    set_up("service")
    become("python", "-m", "alembic", "revision", "--autogenerate", "--message", " ".join(arguments.rest))
    return 1


def openapi(arguments: argparse.Namespace) -> int:
    """Write docs/openapi.json."""
    set_up("service")
    become("python", "-m", "app.openapi", *arguments.rest)
    return 1


def lock(arguments: argparse.Namespace) -> int:
    """Resolve requirements/*.in anew; ``--upgrade`` takes newer versions."""
    check_machine()
    make_locks(arguments.rest)
    return 0


def run(arguments: argparse.Namespace) -> int:
    """Start the embedded service, show the main job on sample files, then go on serving."""
    signal.signal(signal.SIGTERM, _interrupt)
    signal.signal(signal.SIGHUP, _interrupt)
    try:
        set_up("service")
        data = Path(arguments.data or os.environ.get("GLOCERT_DATA_DIR", ROOT / ".glocert")).absolute()
        port = arguments.port or free_port()
        environment = {**os.environ, "GLOCERT_DATA_DIR": str(data), "GLOCERT_PORT": str(port)}
        with serving(data, port, environment) as service:
            return _show_and_serve(arguments, service, f"http://127.0.0.1:{port}", environment)
    except KeyboardInterrupt:
        return 1 if arguments.once else 0


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _show_and_serve(
    arguments: argparse.Namespace, service: subprocess.Popen[bytes], url: str, environment: dict[str, str]
) -> int:
    if not arguments.no_demo:
        environment.setdefault("GLOCERT_KEY", environment.get("GLOCERT_ADMIN_KEY", ""))
        tour = [str(PYTHON), "-m", "examples.tour", "--url", url]
        code = subprocess.run(tour, cwd=ROOT, env=environment).returncode
        if code or arguments.once:
            return code
    elif arguments.once:
        return 0
    say(f"GloCert serves at {url} (API docs: {url}/docs). Ctrl-C stops it.")
    say(f"The service ended by itself with {service.wait()}.")
    return 1


def free_port() -> int:
    """Return the usual port, or any when something listens there already."""
    for port in (PORT, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with contextlib.suppress(OSError):
                probe.bind(("127.0.0.1", port))
                return int(probe.getsockname()[1])
    raise Stop("No free port on 127.0.0.1.")


@contextlib.contextmanager
def serving(data: Path, port: int, environment: dict[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run the service until the block ends; its words go to a file so that they do not mix with the demo."""
    data.mkdir(parents=True, exist_ok=True)
    log = data / "service.log"
    with log.open("ab") as file:
        service = subprocess.Popen(
            [PYTHON, "-m", "workers.embedded"],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            preexec_fn=_as_child,
        )
    try:
        with timed(f"service on port {port}, data and log in {data}"):
            _await_ready(service, f"http://127.0.0.1:{port}/readyz", log)
        yield service
    finally:
        _end(service)


def _as_child() -> None:
    """Leave the terminal's group, so that Ctrl-C reaches dev.py alone, and end with it if that is killed."""
    os.setsid()
    ctypes.CDLL(None).prctl(1, signal.SIGTERM, 0, 0, 0)


def _await_ready(service: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + START_S
    while service.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=5):
            return
        time.sleep(0.05)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-25:])
    raise Stop(f"The service did not become ready:\n\n{tail}\n\nIts whole log is {log}.")


def _end(service: subprocess.Popen[bytes]) -> None:
    service.terminate()
    try:
        service.wait(STOP_S)
    except subprocess.TimeoutExpired:
        service.kill()
        service.wait()


COMMANDS: dict[str, Callable[[argparse.Namespace], int]] = {
    command.__name__: command
    for command in (run, test, check, bench, fuzz, docs, migrate, revision, openapi, lock)
}


def parse(words: Sequence[str]) -> argparse.Namespace:
    """Return the command and its options; what is not ours goes on to the program behind it."""
    parser = argparse.ArgumentParser(prog="dev.py", description=__doc__, allow_abbrev=False)
    commands = parser.add_subparsers(dest="command", required=True)
    for name, command in COMMANDS.items():
        sub = commands.add_parser(name, help=command.__doc__, description=command.__doc__, allow_abbrev=False)
        if name == "run":
            sub.add_argument("--once", action="store_true", help="stop after the demo, with its exit code")
            sub.add_argument("--no-demo", action="store_true", help="only serve")
            sub.add_argument("--port", type=int, help=f"port on loopback (default {PORT}, or a free one)")
            sub.add_argument("--data", help="folder of uploads and database (default .glocert)")
    arguments, rest = parser.parse_known_args(words)
    arguments.rest = rest
    if arguments.command in ("run", "check") and rest:
        parser.error(f"unknown: {' '.join(rest)}")
    return arguments


def main() -> int:
    """Carry out one command."""
    arguments = parse(sys.argv[1:])
    try:
        return COMMANDS[arguments.command](arguments)
    except Stop as stop:
        say(f"\n{stop}")
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
