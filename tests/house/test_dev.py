"""dev.py: what it makes of half-made environments, of two at once, and of what it is told."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

import dev
from requirements import environment, steps
from tests.servers import free_port

ROOT = Path(__file__).parents[2]
MADE_BY_DEV = Path(sys.prefix) == environment.VENV and (environment.STAMPS / "test").exists()


def _use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(environment, "VENV", folder)
    monkeypatch.setattr(environment, "STAMPS", folder / "stamps")
    monkeypatch.setattr(environment, "BUSY", folder / "stamps/busy")
    monkeypatch.setattr(environment, "PYTHON", folder / "bin/python")
    return folder


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment of the test's own, not there yet."""
    return _use(tmp_path / "venv", monkeypatch)


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as monkeypatch:
        folder = _use(tmp_path_factory.mktemp("made") / "venv", monkeypatch)
        environment.make_environment()
    return folder


@pytest.fixture
def made(made_once: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An environment without any packages but pip."""
    return _use(made_once, monkeypatch)


def _packages(folder: Path) -> Path:
    return next(folder.glob("lib/python*/site-packages"))


def test_an_environment_is_made_once_and_mended_when_half_done(made):
    mark = _packages(made) / "mark"
    mark.touch()
    environment.make_environment()
    assert mark.exists()

    shutil.rmtree(_packages(made) / "pip")
    environment.make_environment()
    assert (_packages(made) / "pip").is_dir()

    (_packages(made) / "mark").touch()
    environment.BUSY.touch()  # what a kill in the middle of pip leaves
    environment.make_environment()
    assert not (_packages(made) / "mark").exists()
    assert not environment.BUSY.exists()


def test_a_stamp_is_left_only_by_a_step_that_ended_well(elsewhere):
    with pytest.raises(steps.Stop), environment.stamping("step", "content"):
        raise steps.Stop("failed in good order")
    assert not environment.stamped("step", "content")
    assert not environment.BUSY.exists()

    with pytest.raises(KeyboardInterrupt), environment.stamping("step", "content"):
        raise KeyboardInterrupt
    assert not environment.stamped("step", "content")
    assert environment.BUSY.exists()

    with environment.stamping("step", "content"):
        pass
    assert environment.stamped("step", "content")
    assert not environment.stamped("step", "other content")


def test_a_failing_pip_is_shown_with_the_way_out(made, tmp_path, monkeypatch):
    (tmp_path / "service.lock").write_text(f"./nowhere.whl --hash=sha256:{'0' * 64}\n")
    monkeypatch.setattr(environment, "LOCKS", tmp_path)
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    with pytest.raises(steps.Stop, match=r"nowhere\.whl(?s:.*)pip config list"):
        environment.install_lock("service")
    assert not environment.BUSY.exists()


def test_a_large_torch_is_announced_where_no_gpu_is(made, monkeypatch, capsys):
    """pip is told to look where nothing is, as on a machine that has no CPU build on offer."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(made))
    monkeypatch.delenv(environment.TORCH_INDEX, raising=False)
    monkeypatch.setattr(environment, "SPACE_CUDA", 0)
    for gpu in (True, False):
        monkeypatch.setattr(environment, "gpu_present", lambda gpu=gpu: gpu)
        with pytest.raises(steps.Stop, match=environment.TORCH_INDEX):
            environment.install_torch()
        assert ("no GPU here" not in capsys.readouterr().out) is gpu


def test_loops_are_compiled_once_and_a_mistake_in_them_stops_nothing(
    elsewhere, tmp_path, monkeypatch, capsys
):
    elsewhere.joinpath("stamps").mkdir(parents=True)
    (tmp_path / "glocert").mkdir()
    loops = tmp_path / "glocert/precompile.py"
    loops.write_text("from glocert.compiled import nothing")
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "PYTHON", sys.executable)
    with environment.compiling_loops():
        pass
    assert "they do not compile yet: ModuleNotFoundError" in capsys.readouterr().out

    loops.write_text("open('compiled', 'a').write('once')  # and not from glocert.compiled")
    for _ in range(2):
        with environment.compiling_loops():
            pass
    assert (tmp_path / "compiled").read_text() == "once"


def test_loops_are_left_when_a_step_beside_them_fails(elsewhere, tmp_path, monkeypatch):
    """Also by the processes that compile them: those of a pool outlive a parent that is killed."""
    (tmp_path / "glocert").mkdir()
    code = "import os, pathlib, time\npid = os.fork()\npathlib.Path(f'{bool(pid)}').touch()\ntime.sleep(600)"
    (tmp_path / "glocert/precompile.py").write_text(code)
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setattr(environment, "PYTHON", sys.executable)
    begun: list[psutil.Process] = []

    def fail() -> None:
        with environment.compiling_loops():
            while not (tmp_path / "True").exists() or not (tmp_path / "False").exists():
                time.sleep(0.01)
            found = psutil.process_iter(["cwd"])
            begun.extend(process for process in found if process.info["cwd"] == str(tmp_path))
            raise steps.Stop("this step failed")

    with pytest.raises(steps.Stop, match="this step"):
        fail()
    assert len(begun) == 2
    assert psutil.wait_procs(begun, timeout=30)[1] == []


def test_bytecode_is_written_once_for_what_was_installed(made):
    for name in ("service", "torch"):
        (environment.STAMPS / name).write_text(name)
    module = _packages(made) / "late.py"
    module.write_text("late = True")
    for _ in range(2):
        environment.write_bytecode()
        written = list(module.parent.glob("__pycache__/late.*.pyc"))
        assert len(written) == 1
        (module.parent / "later.py").touch()
    assert not list(module.parent.glob("__pycache__/later.*.pyc"))


def test_debian_without_ensurepip_gets_the_one_line(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "ensurepip" else find(name))
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(environment, "_has_pip", lambda: False)
    with pytest.raises(steps.Stop, match=r"apt-get install -y python3\.\d+-venv"):
        environment.make_environment()


def test_a_full_disk_stops_before_anything_is_made(elsewhere, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(1, 1, 0))
    with pytest.raises(steps.Stop, match="make room"):
        environment.make_environment()
    assert not elsewhere.exists()


def test_an_old_python_says_which_is_needed(monkeypatch):
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    monkeypatch.setattr(shutil, "which", lambda _: None)
    with pytest.raises(steps.Stop, match=r"Python 3\.11 to 3\.14 is needed and this is 3\.9"):
        environment.check_machine()


WAITING = "from requirements.environment import alone\nwith alone():\n    print('in', flush=True)"


def test_two_set_ups_of_one_checkout_take_turns():
    with environment.alone():
        second = subprocess.Popen(
            [sys.executable, "-c", WAITING], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert second.stdout is not None
        assert "waiting" in second.stdout.readline()
        assert second.poll() is None
    with second:
        assert second.stdout.read() == "in\n"


@pytest.mark.parametrize(
    ("words", "rest"),
    [
        (["test", "-x", "tests/app", "-k", "a or b"], ["-x", "tests/app", "-k", "a or b"]),
        (["test"], []),
        (["revision", "add x to y"], ["add x to y"]),
        (["lock", "--upgrade"], ["--upgrade"]),
    ],
)
def test_what_is_not_ours_is_passed_on(words, rest):
    assert dev.parse(words).rest == rest


@pytest.mark.parametrize("words", [[], ["fly"], ["run", "--onc"], ["check", "tests"]])
def test_unknown_words_are_refused(words, capsys):
    with pytest.raises(SystemExit):
        dev.parse(words)
    assert "usage" in capsys.readouterr().err


def test_a_taken_port_is_not_used():
    with dev.socket.socket() as taken:
        taken.setsockopt(dev.socket.SOL_SOCKET, dev.socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", dev.PORT))
        except OSError:
            pass  # somebody else has it, which serves as well
        else:
            taken.listen()
        assert dev.free_port() != dev.PORT


# From here on the whole of `dev.py run`, with the real service


@contextmanager
def running(data: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    command = [
        sys.executable,
        str(ROOT / "dev.py"),
        "run",
        "--no-demo",
        "--port",
        str(port),
        "--data",
        str(data),
    ]
    with subprocess.Popen(command, cwd="/", stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            seen = []
            for line in process.stdout:
                seen.append(line)
                if "GloCert serves at" in line:
                    break
            else:
                pytest.fail("".join(seen))
            yield process
        finally:
            process.kill()


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def _await_silence(port: int) -> bool:
    deadline = time.monotonic() + 30
    while _answers(port) and time.monotonic() < deadline:
        time.sleep(0.1)
    return not _answers(port)


needs_dev = pytest.mark.skipif(
    not MADE_BY_DEV, reason="this environment was not made by dev.py, which would install"
)


@needs_dev
def test_check_goes_on_after_a_failure_and_remembers_it(tmp_path, monkeypatch):
    done = tmp_path / "done"
    checks = {
        "first": ["python", "-c", "raise SystemExit(2)"],
        "second": ["python", "-c", f"open({str(done)!r}, 'w')"],
    }
    monkeypatch.setattr(dev, "CHECKS", checks)
    assert dev.check(dev.parse(["check"])) == 1
    assert done.exists()
    monkeypatch.setattr(dev, "CHECKS", {"second": checks["second"]})
    assert dev.check(dev.parse(["check"])) == 0


@needs_dev
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_run_serves_and_ends_well(how, tmp_path):
    port = free_port()
    with running(tmp_path, port) as process:
        assert _answers(port)
        process.send_signal(how)
        assert process.wait(60) == 0
        assert not _answers(port)


@needs_dev
def test_the_service_ends_with_a_killed_run(tmp_path):
    port = free_port()
    with running(tmp_path, port) as process:
        process.kill()
        process.wait()
        assert _await_silence(port)
