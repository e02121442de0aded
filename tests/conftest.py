"""What all tests share: real servers, the shared data, and a clean environment.

Servers are started by the process that first asks for one (under xdist: once in each), and the closing words
of the run say which were used. A fixture without a server is an error, never a skip.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from tests.postgres_servers import fresh_database, open_own_postgres, open_postgres
from tests.redis_servers import empty, open_own_redis, open_redis
from tests.servers import Service, order

ROOT = Path(__file__).parents[1]
USED = pytest.StashKey[set[str]]()

# Machines that test are slow and shared: time is no verdict. CI repeats itself; a person at work explores.
settings.register_profile(
    "house", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("ci", settings.get_profile("house"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "house")


def pytest_configure(config: pytest.Config) -> None:
    """Forget settings of the person's shell, and keep parallel processes to one thread each."""
    config.stash[USED] = set()
    for name in [name for name in os.environ if name.startswith("GLOCERT_")]:
        if not name.startswith(("GLOCERT_TEST_", "GLOCERT_SHARED_DATA")):
            del os.environ[name]
    if "PYTEST_XDIST_WORKER" in os.environ:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # A run in the background inherits deafness to Ctrl-C, and so would the programs under test.
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header() -> str:
    """Say where servers are looked for."""
    return f"servers from: {', '.join(order())} (GLOCERT_TEST_SERVICES)"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the shared data, and skip it together with the ``gpu`` tests where they cannot run."""
    shared, gpu = _shared_folder().is_dir(), Path("/dev/nvidiactl").exists()
    for item in items:
        if "shared_data" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.shared)
        if item.get_closest_marker("shared") and not shared:
            item.add_marker(pytest.mark.skip(reason=f"no shared data at {_shared_folder()}"))
        if item.get_closest_marker("gpu") and not gpu:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Hand the names of the servers to the process that prints the closing words."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["servers"] = sorted(session.config.stash[USED])


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Add the servers of an xdist worker to those of the run."""
    node.config.stash[USED].update(getattr(node, "workeroutput", {}).get("servers", ()))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which servers the tests ran on."""
    for line in sorted(config.stash[USED]) or ["none was asked for"]:
        terminalreporter.write_line(f"server used: {line}")


def _note(config: pytest.Config, service: Service) -> Service:
    config.stash[USED].add(f"{service.version} ({service.source})")
    return service


@pytest.fixture(scope="session")
def postgres_server(pytestconfig: pytest.Config) -> Iterator[Service]:
    """This process's PostgreSQL: for fresh databases, not to be stopped."""
    with closing(_note(pytestconfig, open_postgres())) as service:
        yield service


@pytest.fixture
def postgres_url(postgres_server: Service) -> Iterator[str]:
    """SQLAlchemy URL of a fresh, empty database without any table."""
    with fresh_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def _migrated_template(postgres_server: Service) -> Iterator[str]:
    with fresh_database(postgres_server) as url:
        migrate(url)
        yield url.rpartition("/")[2].partition("?")[0]


@pytest.fixture
def migrated_postgres_url(postgres_server: Service, _migrated_template: str) -> Iterator[str]:
    """SQLAlchemy URL of a fresh database at the newest migration: a copy of one that was migrated once."""
    with fresh_database(postgres_server, _migrated_template) as url:
        yield url


@pytest.fixture
def postgres(pytestconfig: pytest.Config) -> Iterator[Service]:
    """A PostgreSQL of the test's own, to be stopped and started; ``url`` is its database ``postgres``."""
    with closing(_note(pytestconfig, open_own_postgres())) as service:
        yield service


@pytest.fixture(scope="session")
def redis_server(pytestconfig: pytest.Config) -> Iterator[Service]:
    """This process's Redis or Valkey, not to be stopped; ``redis_url`` gives an empty database of it."""
    with closing(_note(pytestconfig, open_redis())) as service:
        yield service


@pytest.fixture
def redis_url(redis_server: Service) -> Iterator[str]:
    """URL of an empty Redis database, emptied again afterwards."""
    empty(redis_server)
    yield redis_server.url
    empty(redis_server)


@pytest.fixture
def redis_service(pytestconfig: pytest.Config) -> Iterator[Service]:
    """A Redis or Valkey of the test's own, with an append-only file, to be stopped, started and emptied."""
    with closing(_note(pytestconfig, open_own_redis())) as service:
        yield service


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of models and data sets beside the repository; the test is skipped where there is none."""
    folder = _shared_folder()
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}")
    return folder


def migrate(url: str) -> None:
    """Bring a database to the newest migration, as ``python3 dev.py migrate`` does."""
    from alembic import command
    from alembic.config import Config

    config = Config(str(ROOT / "alembic.ini"))
    config.attributes["url"] = url
    command.upgrade(config, "head")


def _shared_folder() -> Path:
    given = os.environ.get("GLOCERT_SHARED_DATA")
    if given and not Path(given).is_dir():
        raise pytest.UsageError(f"GLOCERT_SHARED_DATA names {given}, which is no folder")
    return Path(given) if given else ROOT.parent / "shared/data"
