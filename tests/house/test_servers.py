"""The throw-away servers: every place of this machine, restarts, and what happens when the run dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest
import redis

from tests import postgres_servers, redis_servers
from tests.servers import Service, Unavailable

pytestmark = pytest.mark.usefixtures("default_order")
ROOT = Path(__file__).parents[2]
FOUND = [
    pytest.param(module, recipe, id=recipe.source)
    for module in (postgres_servers, redis_servers)
    for place in ("local", "wheel")
    for recipe in module.recipes(place)
]


@pytest.fixture
def default_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """These tests are about the order itself, whatever this run was told."""
    monkeypatch.delenv("GLOCERT_TEST_SERVICES", raising=False)
    monkeypatch.delenv(postgres_servers.NAMED, raising=False)
    monkeypatch.delenv(redis_servers.NAMED, raising=False)


def _names(url: str) -> set[str]:
    with psycopg.connect(url.replace("+psycopg", "")) as connection:
        return {row[0] for row in connection.execute("select datname from pg_database").fetchall()}


@pytest.mark.parametrize(("module", "recipe"), FOUND)
def test_every_server_of_this_machine_starts_and_leaves_nothing(module, recipe):
    service = module.open_recipe(recipe)
    service.start()
    try:
        assert service.version.split()[0] in {"PostgreSQL", "Redis", "Valkey"}
        assert service.data.is_dir()
    finally:
        service.close()
    assert not service.data.exists()
    with pytest.raises(ConnectionError):
        module.probe(service.url)


def test_the_wheels_hold_servers():
    """Without this, the tests above could run on nothing at all."""
    assert list(postgres_servers.recipes("wheel"))
    assert list(redis_servers.recipes("wheel"))


def test_a_database_is_fresh_and_goes_away(postgres_server: Service):
    with postgres_servers.fresh_database(postgres_server) as url:
        name = url.rpartition("/")[2]
        with psycopg.connect(url.replace("+psycopg", "")) as held_open:
            tables = held_open.execute("select 1 from pg_tables where schemaname = 'public'").fetchall()
            assert tables == []
            assert name in _names(postgres_server.url)
    assert name not in _names(postgres_server.url)


@pytest.mark.parametrize("how", [None, signal.SIGKILL])
def test_postgres_comes_back_with_its_data(postgres: Service, how):
    with psycopg.connect(postgres.url.replace("+psycopg", ""), autocommit=True) as connection:
        connection.execute("create table kept as select 42 as answer")
    if how is signal.SIGKILL:
        with psycopg.connect(postgres.url.replace("+psycopg", ""), autocommit=True) as connection:
            connection.execute("checkpoint")
    postgres.stop(how)
    with pytest.raises(ConnectionError):
        postgres_servers.probe(postgres.url)
    postgres.start()
    with psycopg.connect(postgres.url.replace("+psycopg", "")) as connection:
        assert connection.execute("select answer from kept").fetchone() == (42,)


def test_redis_comes_back_with_its_data_or_empty(redis_service: Service):
    with redis.Redis.from_url(redis_service.url) as client:
        client.set("kept", "42")
    redis_service.stop()
    redis_service.start()
    with redis.Redis.from_url(redis_service.url) as client:
        assert client.get("kept") == b"42"
    redis_service.stop()
    redis_service.start(empty=True)
    with redis.Redis.from_url(redis_service.url) as client:
        assert client.dbsize() == 0


def test_a_named_server_is_used_and_not_stopped(postgres: Service, redis_service: Service, monkeypatch):
    monkeypatch.setenv(postgres_servers.NAMED, postgres.url)
    monkeypatch.setenv(redis_servers.NAMED, redis_service.url)
    for module, open_named in ((postgres_servers, "open_postgres"), (redis_servers, "open_redis")):
        service = getattr(module, open_named)()
        assert service.source == "env"
        with pytest.raises(Unavailable):
            service.stop()
        service.close()
        assert module.probe(service.url) == service.version


def test_a_named_redis_with_data_in_it_is_left_alone(redis_service: Service, monkeypatch):
    monkeypatch.setenv(redis_servers.NAMED, redis_service.url)
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)
    with redis.Redis.from_url(redis_service.url) as client:
        client.set("somebody's", "data")
        with pytest.raises(Unavailable, match="not empty"):
            redis_servers.open_redis()
        assert client.dbsize() == 1


@pytest.mark.parametrize(
    ("module", "url", "open_named"),
    [
        (postgres_servers, "postgresql+psycopg://nobody@127.0.0.1:1/none", "open_postgres"),
        (redis_servers, "redis://127.0.0.1:1/0", "open_redis"),
    ],
)
def test_a_named_server_that_does_not_answer_is_an_error(module, url, open_named, monkeypatch):
    monkeypatch.setenv(module.NAMED, url)
    with pytest.raises(Unavailable, match="does not answer"):
        getattr(module, open_named)()


def test_without_any_place_the_error_says_so(monkeypatch):
    monkeypatch.setenv("GLOCERT_TEST_SERVICES", "nowhere")
    with pytest.raises(Unavailable, match="no postgres among nowhere"):
        postgres_servers.open_own_postgres()


HOLDER = """
import time
from tests.postgres_servers import open_own_postgres
from tests.redis_servers import open_own_redis
print(open_own_postgres()._process.pid, open_own_redis()._process.pid, flush=True)
time.sleep(600)
"""


def _alive(pid: int) -> bool:
    """Whether a process runs; one that ended and waits for its new parent to notice does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


def test_servers_die_with_a_killed_run(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-c", HOLDER]
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        servers = [int(pid) for pid in holder.stdout.readline().split()]
        assert len(servers) == 2
        assert all(_alive(pid) for pid in servers)
        holder.kill()
    deadline = time.monotonic() + 20
    while any(_alive(pid) for pid in servers) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(_alive(pid) for pid in servers)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another user to become")
def test_root_uses_a_namespace_where_nobody_cannot_reach(tmp_path, monkeypatch):
    """tmp_path lies under a folder of mode 0700, as a data folder in root's home does."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    service = postgres_servers.open_own_postgres()
    try:
        assert service.recipe is not None
        assert service.recipe.user == "namespace"
        assert (service.data / "cluster").stat().st_uid == os.geteuid()
    finally:
        service.close()
