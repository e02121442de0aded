from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from app.migrate import upgrade
from app.settings import Settings
from tests.app.serving import ADMIN_KEY, Served, serving


@pytest.fixture(scope="session", autouse=True)
def plain_logs() -> None:
    """Keep structlog from drawing tracebacks with all locals, which takes seconds."""
    renderer = structlog.processors.KeyValueRenderer()
    structlog.configure(
        [structlog.contextvars.merge_contextvars, structlog.processors.format_exc_info, renderer]
    )


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("template")
    upgrade(Settings(data_dir=folder))
    return folder / "glocert.sqlite3"


@pytest.fixture
def settings(tmp_path: Path, sqlite_template: Path) -> Settings:
    """Small limits on a migrated SQLite database."""
    shutil.copy(sqlite_template, tmp_path / "glocert.sqlite3")
    return Settings(data_dir=tmp_path, **limits())


def limits() -> dict[str, Any]:
    return {
        "max_model_bytes": 2**16, "max_dataset_bytes": 2**16, "max_body_bytes": 2**14, "max_models": 5,
        "max_datasets": 5, "max_active_jobs": 4, "max_inputs": 20, "max_page": 3, "max_wait_s": 2.0,
    }  # fmt: skip


@pytest.fixture(scope="module")
def steady(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Iterator[Served]:
    """A service that the tests of a module share: for those that leave nothing behind."""
    folder = tmp_path_factory.mktemp("steady")
    shutil.copy(sqlite_template, folder / "glocert.sqlite3")
    with serving(Settings(data_dir=folder, **limits() | {"max_models": 100, "max_datasets": 100})) as running:
        yield running


@pytest.fixture
def served(settings: Settings) -> Iterator[Served]:
    """A service that runs open."""
    with serving(settings) as running:
        yield running


@pytest.fixture
def keyed(settings: Settings) -> Iterator[Served]:
    """A service that needs keys; its client sends the one of the settings."""
    with serving(settings.model_copy(update={"admin_key": ADMIN_KEY}), ADMIN_KEY) as running:
        yield running


@pytest.fixture(params=["sqlite", "postgresql"])
def on_each_database(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Served]:
    """A service that runs open, on both databases."""
    if request.param == "postgresql":
        url = request.getfixturevalue("migrated_postgres_url")
        settings = settings.model_copy(update={"database_url": url})
    with serving(settings) as running:
        yield running
