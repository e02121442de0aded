"""The environment in ``.venv``: every step leaves a stamp and is skipped while the stamp is right."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.util
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

from requirements.steps import PIP, ROOT, Stop, quietly, say, timed

VENV = ROOT / ".venv"
STAMPS = VENV / "stamps"
BUSY = STAMPS / "busy"
PYTHON = VENV / "bin/python"
LOCKS = ROOT / "requirements"
TORCH = "torch==2.13.0"
TORCH_INDEX = "GLOCERT_TORCH_INDEX_URL"
NEVER_IMPORTED = r"/(tests?|testing/_internal)/"  # a third of all code: the tests that packages bring along
OLDEST, NEWEST = (3, 11), (3, 14)
GIB = 2**30
SPACE, SPACE_CUDA = 3 * GIB, 14 * GIB


def check_machine() -> None:
    """Stop where this cannot work, before anything is made."""
    if not sys.platform.startswith("linux"):
        raise Stop("GloCert runs on Linux: its children lock themselves down with Landlock and seccomp.")
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        _use_another_python()


def _use_another_python() -> None:
    for minor in range(OLDEST[1], NEWEST[1] + 1):
        found = shutil.which(f"python3.{minor}")
        if found and subprocess.run([found, "-c", ""], capture_output=True).returncode == 0:
            os.execv(found, [found, *sys.argv])
    have = ".".join(map(str, sys.version_info[:2]))
    raise Stop(f"Python 3.{OLDEST[1]} to 3.{NEWEST[1]} is needed and this is {have}: install one of them.")


def set_up(*locks: str) -> None:
    """Bring ``.venv`` to what the locks say; another set-up of the same checkout is waited for.

    The first lock and torch come first: with them there the loops are compiled beside all that follows.
    """
    check_machine()
    with alone():
        make_environment()
        service, *others = locks
        install_lock(service)
        install_torch()
        with compiling_loops():
            write_bytecode()
            for lock in others:
                install_lock(lock)


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold the lock of this checkout."""
    with (ROOT / "dev.py").open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("  another dev.py sets this checkout up: waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def stamped(name: str, content: str) -> bool:
    """Whether a step was done with just this content."""
    stamp = STAMPS / name
    return stamp.is_file() and stamp.read_text() == content


@contextlib.contextmanager
def stamping(name: str, content: str) -> Iterator[None]:
    """Leave a stamp once the step is done, and a mark that stays if this process is killed on the way.

    pip undoes what fails, so an error takes the mark away; only a kill leaves packages half unpacked.
    """
    STAMPS.mkdir(parents=True, exist_ok=True)
    BUSY.touch()
    try:
        yield
    except Stop:
        BUSY.unlink()
        raise
    (STAMPS / name).write_text(content)
    BUSY.unlink()


def make_environment() -> None:
    """Make ``.venv``, or make it anew when it was left half done or its Python has gone."""
    content = f"{sys.version_info[0]}.{sys.version_info[1]} {VENV}"
    if stamped("environment", content) and not BUSY.exists() and _has_pip():
        return
    broken = BUSY.exists() or not _has_pip()
    if VENV.exists() and broken:
        say("  .venv was left half done: starting over")
    need_space(SPACE)
    with timed("environment in .venv"):
        if importlib.util.find_spec("ensurepip") is None:
            _install_ensurepip()
        if broken:
            way_out = "Remove .venv and try again; `python3 -m venv` must work by itself."
            quietly([sys.executable, "-m", "venv", "--clear", str(VENV)], way_out)
        with stamping("environment", content):
            pass


def _has_pip() -> bool:
    try:
        found = subprocess.run(
            [PYTHON, "-c", "import pip, sys; print(sys.version_info[:2])"], capture_output=True
        )
    except OSError:
        return False
    return found.returncode == 0 and found.stdout.decode().strip() == str(tuple(sys.version_info[:2]))


def _install_ensurepip() -> None:
    """Debian splits the module off: install its package as root, else say how."""
    line = f"apt-get install -y python3.{sys.version_info[1]}-venv"
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        raise Stop(
            f"Python's venv module is incomplete here (no ensurepip). Run this, then try again:\n  {line}"
        )
    quietly(["apt-get", "update"], f"Run this by hand, then try again:\n  {line}")
    quietly(line.split(), f"Run this by hand, then try again:\n  {line}", DEBIAN_FRONTEND="noninteractive")


def need_space(size: int) -> None:
    """Stop when the disk of the checkout is too full."""
    free = shutil.disk_usage(ROOT).free
    if free < size:
        raise Stop(
            f"{size / GIB:.0f} GiB of disk are needed at {ROOT} and {free / GIB:.1f} are free: make room."
        )


def install_lock(name: str) -> None:
    """Install just what a lock file names, each archive with its hash."""
    lock = LOCKS / f"{name}.lock"
    content = hashlib.sha256(lock.read_bytes()).hexdigest()
    if stamped(name, content):
        return
    options = ["--no-compile", "--require-hashes", "--no-deps", "--requirement", str(lock)]
    with timed(f"packages of {lock.relative_to(ROOT)}"), stamping(name, content):
        way_out = (
            "Is the network there, and does `pip config list` name a package index that answers?\n"
            "A hash that does not match means that an archive is not the one that was locked: do not go on.\n"
            "No matching distribution for this Python: use Python 3.11, for which the lock was made."
        )
        quietly([str(PYTHON), *PIP, "install", *options], way_out)


def install_torch() -> None:
    """Install torch by itself: which build is right depends on the machine (docs/adr/0002-lock-files.md)."""
    index = os.environ.get(TORCH_INDEX, "")
    if stamped("torch", f"{TORCH} {index}"):
        return
    options = ["--index-url", index] if index else []
    if not index and not any(VENV.glob("lib/python*/site-packages/torch/version.py")):
        _say_which_torch()
    with timed(f"{TORCH}"), stamping("torch", f"{TORCH} {index}"):
        way_out = f"Set {TORCH_INDEX} to a package index that has {TORCH} for this Python and machine."
        quietly([str(PYTHON), *PIP, "install", "--no-compile", *options, TORCH], way_out)
        quietly([str(PYTHON), *PIP, "check"], "Remove .venv and try again.")


def write_bytecode() -> None:
    """Compile what was unpacked so far: behind their wall children cannot keep what they compile."""
    content = "".join((STAMPS / name).read_text() for name in ("service", "torch"))
    if stamped("bytecode", content):
        return
    with timed("bytecode"):
        # What does not compile (templates, code for other versions) says so when it is imported, as ever.
        command = [str(PYTHON), "-m", "compileall", "-qq", "-x", NEVER_IMPORTED, str(VENV)]
        subprocess.run(command, capture_output=True)
        (STAMPS / "bytecode").write_text(content)


@contextlib.contextmanager
def compiling_loops() -> Iterator[None]:
    """Compile the engine's loops beside the block, so that neither the first start nor a test waits for them.

    Nothing depends on this step: what it leaves out is compiled when it is needed.
    """
    loops = _loops()
    if stamped("loops", loops):
        yield
        return
    with subprocess.Popen(
        [PYTHON, "-m", "glocert.precompile"],
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    ) as compiling:
        try:
            yield
            with timed("loops of glocert/, begun meanwhile"):
                _, complaint = compiling.communicate()
        except BaseException:
            os.killpg(compiling.pid, signal.SIGKILL)  # it has processes of its own
            raise
    if compiling.returncode == 0:
        (STAMPS / "loops").write_text(loops)
    else:
        say(f"  they do not compile yet: {complaint.decode().strip().rpartition(chr(10))[2]}")


def _loops() -> str:
    """Return the digest of all files that have loops."""
    sources = [path.read_bytes() for path in sorted((ROOT / "glocert").rglob("*.py"))]
    return hashlib.sha256(b"".join(source for source in sources if b"glocert.compiled" in source)).hexdigest()


def _say_which_torch() -> None:
    """Say what will be fetched where the default build brings gigabytes that nothing here can use."""
    if not gpu_present():
        if _offers_cpu_build():
            return
        say(f"  no GPU here and no CPU build of {TORCH} on offer: the default one may bring GBs of CUDA.")
        say(f"  For the small one stop and set {TORCH_INDEX} to the CPU index of PyTorch's install page.")
    need_space(SPACE_CUDA)


def _offers_cpu_build() -> bool:
    """Whether this machine's pip configuration finds the small build."""
    asked = ["install", "--dry-run", "--quiet", "--ignore-installed", "--no-deps", "--report", "-", TORCH]
    done = subprocess.run([str(PYTHON), *PIP, *asked], capture_output=True, text=True)
    found = json.loads(done.stdout)["install"] if done.returncode == 0 else []
    return any(entry["metadata"]["version"].endswith("+cpu") for entry in found)


def gpu_present() -> bool:
    """Whether NVIDIA's driver answers."""
    program = shutil.which("nvidia-smi")
    return program is not None and subprocess.run([program], capture_output=True).returncode == 0
