from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.settings import Settings
from workers.children import ROOT, Child, Nursery, child_environment, uses_cuda


def until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 60
    while not (answer := look()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return answer


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    os.environ["GLOCERT_ADMIN_KEY"] = "secret"
    try:
        nursery = Nursery(Settings(data_dir=tmp_path_factory.mktemp("data"), device="cpu"))
        nursery.warm(wait=True)
    finally:
        del os.environ["GLOCERT_ADMIN_KEY"]
    yield nursery
    nursery.close()


@pytest.fixture
def child(nursery: Nursery) -> Iterator[Child]:
    child = nursery.certifier()
    yield child
    child.kill()


def test_a_child_answers(child: Child) -> None:
    child.tell({"do": "segment", "graph": "/nowhere"})
    (message,) = until(lambda: child.hear(1.0))
    assert message["event"] == "crash"
    assert "KeyError" in message["traceback"]
    assert child.exit_code() is None


def test_a_child_ends_when_its_supervisor_hangs_up(child: Child) -> None:
    child._end.close()
    assert until(lambda: child.exit_code() is not None)
    assert child.exit_code() == 0


def test_a_killed_child_is_gone_at_once(nursery: Nursery) -> None:
    child = nursery.certifier()
    process = psutil.Process(child.pid)
    child.kill()
    assert child.exit_code() == -signal.SIGKILL
    assert not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    child.kill()


def test_the_end_of_a_child_is_told_by_its_signal(child: Child) -> None:
    os.kill(child.pid, signal.SIGSEGV)
    assert until(lambda: child.exit_code() is not None)
    assert child.exit_code() == -signal.SIGSEGV
    assert until(lambda: child.hear(0.1) == [] and child.silent)


def test_a_child_leads_a_group_of_its_own(child: Child) -> None:
    until(lambda: os.getpgid(child.pid) == child.pid)
    assert os.getsid(child.pid) == child.pid


def test_a_child_knows_no_keys(child: Child) -> None:
    assert "GLOCERT_ADMIN_KEY" not in psutil.Process(child.pid).environ()
    given = {"PATH": "/bin", "GLOCERT_DATABASE_URL": "x", "AWS_SECRET_ACCESS_KEY": "x", "HOME": "/root"}
    told = child_environment(given | {"NUMBA_CACHE_DIR": "/kept", "NUMBA_OPT": "0"})
    assert {name for name in told if not name.startswith(("PYTHON", "OMP"))} == {"PATH", "NUMBA_CACHE_DIR"}
    assert told["PATH"] == "/bin"


def test_children_share_what_the_server_has_imported(child: Child) -> None:
    assert [entry for entry in psutil.Process(child.pid).memory_maps() if "libtorch_cpu" in entry.path]
    assert child.resident_bytes() > 10 * 2**20


def test_children_have_the_compiled_loops_of_the_server(child: Child) -> None:
    """Machine code of no file; without it every child would compile or load what it calls."""
    maps = [line.split() for line in Path(f"/proc/{child.pid}/maps").read_text().splitlines()]
    assert [fields for fields in maps if fields[1] == "r-xp" and len(fields) == 5]


def test_a_dead_fork_server_is_replaced(nursery: Nursery) -> None:
    first = nursery.inspector()
    assert nursery._server is not None
    nursery._server.kill()
    assert until(lambda: first.exit_code() is not None)
    first.kill()
    second = nursery.inspector()
    assert second.exit_code() is None
    second.kill()


def test_children_end_with_a_killed_worker(tmp_path: Path) -> None:
    script = (
        "import sys, time\nfrom app.settings import Settings\nfrom workers.children import Nursery\n"
        f"nursery = Nursery(Settings(data_dir={str(tmp_path)!r}, device='cpu'))\n"
        "child = nursery.certifier()\nprint(child.pid, nursery._server.pid, flush=True)\ntime.sleep(600)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE) as worker:
        assert worker.stdout is not None
        family = [psutil.Process(int(pid)) for pid in worker.stdout.readline().split()]
        assert all(process.is_running() for process in family)
        worker.kill()
        until(lambda: not any(map(_alive, family)))


def test_a_fresh_child_speaks_the_same_language(nursery: Nursery) -> None:
    """The kind that CUDA needs: not forked, but started."""
    child = nursery._fresh()
    child.tell({"do": "segment", "graph": "/nowhere"})
    (message,) = until(lambda: child.hear(1.0))
    assert message["event"] == "crash"
    child.kill()
    assert child.exit_code() == -signal.SIGKILL


def test_the_device_is_found_without_torch(tmp_path: Path) -> None:
    assert uses_cuda(Settings(data_dir=tmp_path, device="cuda"))
    assert not uses_cuda(Settings(data_dir=tmp_path, device="cpu"))


def test_supervising_needs_no_torch() -> None:
    script = "import sys, workers.__main__, workers.embedded\nassert not {'torch', 'onnx'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True)


def _alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
