"""What tests/conftest.py promises, seen in a small run of pytest of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SUPPORT = ("conftest.py", "launch.py", "servers.py", "postgres_servers.py", "redis_servers.py")
SMALL = """
import os
import psycopg, pytest, redis

def connect(url):
    return psycopg.connect(url.replace("+psycopg", ""))

@pytest.mark.parametrize("number", range(4))
def test_databases_are_fresh(number, postgres_url, redis_url):
    with connect(postgres_url) as database, redis.Redis.from_url(redis_url) as broker:
        database.execute("create table mine (number integer)")
        assert broker.dbsize() == 0
        broker.set("mine", number)

@pytest.mark.parametrize("number", range(2))
def test_migrated_databases_are_fresh(number, migrated_postgres_url):
    with connect(migrated_postgres_url) as database:
        assert database.execute("select count(*) from job").fetchone() == (0,)
        assert database.execute("select count(*) from alembic_version").fetchone() == (1,)
        database.execute("drop table result, artifact, job cascade")

def test_settings_of_the_shell_are_forgotten():
    assert "GLOCERT_PORT" not in os.environ

@pytest.mark.shared
def test_marked():
    assert False

def test_uses(shared_data):
    assert (shared_data / "there").exists()

@pytest.mark.gpu
def test_on_gpu():
    import torch
    torch.zeros(1, device="cuda")
"""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    """A checkout with these tests only, and nothing beside it."""
    tree = tmp_path / "repository"
    (tree / "tests").mkdir(parents=True)
    for name in SUPPORT:
        shutil.copy(ROOT / "tests" / name, tree / "tests")
    for name in ("pyproject.toml", "alembic.ini"):
        shutil.copy(ROOT / name, tree)
    for name in ("app", "glocert", "migrations", "models"):
        (tree / name).symlink_to(ROOT / name)
    (tree / "tests/test_small.py").write_text(SMALL)
    return tree


def run(tree: Path, *options: str, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GLOCERT_", "PYTEST_"))}
    # Plugins that these tests have no use for take seconds to import, in each process anew.
    plugins = ["-p", "xdist", "-p", "timeout", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, *options],
        cwd=tree,
        env={**kept, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("options", [("-n", "2"), ("-n", "0")])
def test_servers_are_shared_and_named_and_databases_are_not(small, options):
    done = run(small, *options, GLOCERT_TEST_SERVICES="wheel", GLOCERT_PORT="1")
    assert done.returncode == 0, done.stdout
    assert "servers from: wheel" in done.stdout
    assert "server used: PostgreSQL 18" in done.stdout
    assert "server used: Valkey 9" in done.stdout
    assert "no shared data at" in done.stdout


def test_shared_data_may_lie_elsewhere(small, tmp_path):
    (tmp_path / "there").touch()
    done = run(small, "-k", "uses or marked", GLOCERT_SHARED_DATA=str(tmp_path))
    assert "1 failed, 1 passed" in done.stdout


def test_a_wrong_folder_of_shared_data_is_an_error(small):
    done = run(small, GLOCERT_SHARED_DATA="/nowhere")
    assert done.returncode == pytest.ExitCode.USAGE_ERROR
    assert "which is no folder" in done.stderr


def test_no_server_is_an_error_and_no_skip(small):
    done = run(small, "-k", "test_databases", GLOCERT_TEST_SERVICES="nowhere")
    assert done.returncode == pytest.ExitCode.TESTS_FAILED
    assert "no postgres among nowhere" in done.stdout
