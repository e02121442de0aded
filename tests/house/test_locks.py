"""The lock files: what must never be in them, and that each answers its .in file."""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from requirements.locks import FOLDER, NAMES, heading

ENTRY = re.compile(r"^([a-z0-9][a-z0-9._-]*)==(\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)$", re.MULTILINE)


def text(name: str) -> str:
    return (FOLDER / f"{name}.lock").read_text()


def pins(name: str) -> dict[str, Version]:
    return {entry[1]: Version(entry[2]) for entry in ENTRY.finditer(text(name))}


def asked(name: str) -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in (FOLDER / f"{name}.in").read_text().splitlines())
    return [Requirement(line) for line in lines if line and not line.startswith("-")]


@pytest.mark.parametrize("name", NAMES)
def test_every_line_is_a_pin_with_hashes_or_a_comment(name):
    """So there is no index, no other option, no marker and no address in a lock."""
    rest = [line for line in ENTRY.sub("", text(name)).splitlines() if line.strip()]
    assert [line for line in rest if not line.lstrip().startswith("#")] == []
    assert len(pins(name)) > 30


@pytest.mark.parametrize("name", NAMES)
def test_no_torch_and_no_local_version(name):
    """What is right for one machine's processor or driver is wrong for the next one."""
    assert not {"torch", "torchvision", "torchaudio", "triton"} & set(pins(name))
    assert [package for package in pins(name) if package.startswith("nvidia")] == []
    assert [version for version in pins(name).values() if version.local] == []


@pytest.mark.parametrize("name", NAMES)
def test_the_lock_answers_its_in_file(name):
    locked = pins(name)
    for requirement in asked(name):
        if requirement.name != "torch":
            assert locked[canonicalize_name(requirement.name)] in requirement.specifier
    assert text(name).startswith(heading(name))


def test_the_locks_agree():
    service, test = pins("service"), pins("test")
    assert {package: test[package] for package in test if package in service} == {
        package: service[package] for package in service if package in test
    }


def test_async_timeout_is_locked_for_every_python():
    """redis-py needs it below Python 3.11.3 only, so that a lock made on a newer one would leave it out."""
    (requirement,) = [requirement for requirement in asked("service") if requirement.name == "async-timeout"]
    assert requirement.marker is None
    assert "async-timeout" in pins("service")


@pytest.mark.parametrize("name", NAMES)
def test_compiled_packages_are_locked_for_more_than_one_machine(name):
    """One wheel's hash would do for this machine, and fail on every other."""
    hashes = {entry[1]: entry[3].count("--hash") for entry in ENTRY.finditer(text(name))}
    service = ("llvmlite", "numba", "numpy", "onnxruntime", "psycopg-binary")
    compiled = {"service": service, "test": ("scikit-learn", "mypy")}
    assert all(hashes[package] > 10 for package in compiled[name])


@pytest.mark.skipif(Path(sys.prefix).name != ".venv", reason="not in the environment that dev.py makes")
@pytest.mark.parametrize("name", NAMES)
def test_these_tests_run_on_what_is_locked(name):
    installed = {canonicalize_name(found.name): Version(found.version) for found in metadata.distributions()}
    assert {package: installed.get(package) for package in pins(name)} == pins(name)


@pytest.mark.parametrize(
    "line",
    ["--index-url https://example.org/simple", "numpy==2.4.6", "torch @ https://example.org/torch.whl"],
)
def test_a_planted_line_is_noticed(line, tmp_path, monkeypatch):
    (tmp_path / "service.lock").write_text(text("service") + line + "\n")
    monkeypatch.setattr(
        "test_locks.FOLDER" if "test_locks" in sys.modules else f"{__name__}.FOLDER", tmp_path
    )
    with pytest.raises(AssertionError):
        test_every_line_is_a_pin_with_hashes_or_a_comment("service")


@pytest.mark.parametrize("name", NAMES)
def test_every_dependency_has_its_line_in_the_decision(name):
    page = (FOLDER.parent / "docs/adr/0008-dependencies.md").read_text()
    named = set(re.findall(r"[a-z][a-z0-9-]+", page))
    assert [requirement.name for requirement in asked(name) if requirement.name not in named] == []
