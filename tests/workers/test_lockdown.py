"""The wall, from inside: what a locked-in child may do and what not, on a real kernel."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import onnx
import pytest
import torch
from onnx import TensorProto, helper

from tests.workers.locked_in import THINGS
from workers import seccomp

ROOT = Path(__file__).parents[2]
LAYERS = {"capabilities", "limits", "no_new_privs", "landlock", "seccomp"}
ALLOWED = {
    "read the upload": "hello",
    "write a result": "5",
    "replace a result": "b",
    "hold capabilities": "0000000000000000",
    "use a thread": "computed",
    "speak to the supervisor": "xxxxxxxxxx",
    "compute with torch": "torch.jit",
    "run onnxruntime": "onnxruntime",
    "compile a loop": "5.0 compiled",
    "load a compiled loop": "5.0 loaded",
}
REFUSED = {
    "write a large file": "OSError 27",
    "allocate much memory": "MemoryError",
}


def tried(thing: str, folder: Path, upload: bytes = b"hello, world") -> dict[str, object]:
    """Let a child do it."""
    (folder / "out").mkdir()
    (folder / "upload").write_bytes(upload)
    command = [sys.executable, "-m", "tests.workers.locked_in", thing, str(folder)]
    environment = {"PATH": os.environ["PATH"], "OMP_NUM_THREADS": "2"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.mark.parametrize("thing", sorted(set(THINGS) - set(ALLOWED)))
def test_a_locked_in_child_cannot(thing: str, tmp_path: Path) -> None:
    answer = tried(thing, tmp_path)
    assert str(answer["outcome"]).startswith(REFUSED.get(thing, "PermissionError"))
    assert (tmp_path / "upload").read_bytes() == b"hello, world"
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(
    "thing", [thing for thing in ALLOWED if "torch" not in thing and "onnx" not in thing]
)
def test_a_locked_in_child_can(thing: str, tmp_path: Path) -> None:
    answer = tried(thing, tmp_path)
    assert answer["outcome"] == ALLOWED[thing]
    assert set(answer["report"]) == LAYERS
    assert all(state.startswith("on") for state in answer["report"].values())


def test_a_locked_in_child_inspects_torchscript(tmp_path: Path) -> None:
    network = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 3))
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.trace(network, torch.zeros(1, 64)), buffer)
    assert tried("compute with torch", tmp_path, buffer.getvalue())["outcome"] == "torch.jit"
    assert (tmp_path / "out/graph.safetensors").stat().st_size > 4 * 64 * 64


def test_a_locked_in_child_inspects_onnx(tmp_path: Path) -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    model: onnx.ModelProto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    assert tried("run onnxruntime", tmp_path, model.SerializeToString())["outcome"] == "onnxruntime"


def in_a_fork(action: str) -> str:
    """Run code in a fresh interpreter and return what it printed."""
    command = [sys.executable, "-c", action]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    return (done.stdout + done.stderr).strip()


PRELUDE = "import threading, time\nfrom workers import kernel, lockdown\n"
CALL = "lockdown.lock([], [], memory_bytes=None, cpu_s=1, file_bytes=0, policy={policy!r})"


def test_a_missing_layer_is_an_error_where_it_is_required() -> None:
    strange = PRELUDE + "kernel.platform.machine = lambda: 'riscv64'\n"
    answer = in_a_fork(strange + CALL.format(policy="require"))
    assert "SandboxUnavailable" in answer
    assert "seccomp" in answer
    answer = in_a_fork(strange + f"print({CALL.format(policy='best-effort')})")
    assert "'seccomp': 'unsupported machine riscv64'" in answer
    assert "'landlock': 'on" in answer


def test_older_threads_would_stay_outside_and_are_refused() -> None:
    threads = PRELUDE + "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
    answer = in_a_fork(threads + CALL.format(policy="require"))
    assert "SandboxUnavailable" in answer
    assert "landlock" in answer


def test_endless_computation_is_ended_by_the_limit_on_cpu_time() -> None:
    endless = PRELUDE + CALL.format(policy="require") + "\nwhile True: pass"
    done = subprocess.run([sys.executable, "-c", endless], cwd=ROOT, capture_output=True, timeout=60)
    assert done.returncode < 0


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_filter_denies_on_both_architectures(machine: str) -> None:
    program = seccomp.program(machine)
    assert len(program) < 4096
    denied = {"x86_64": (59, 41, 57, 101), "aarch64": (221, 198, 117)}[machine]
    assert all(verdict(program, machine, number) == 0x00050001 for number in denied)
    clone = {"x86_64": 56, "aarch64": 220}[machine]
    assert verdict(program, machine, clone, (0x00010000,)) == 0x7FFF0000
    assert verdict(program, machine, clone, (0x11,)) == 0x00050001
    assert verdict(program, machine, 435) == 0x00050026
    sendto = {"x86_64": 44, "aarch64": 206}[machine]
    assert verdict(program, machine, sendto, (3, 4, 5, 0, 0)) == 0x7FFF0000
    assert verdict(program, machine, sendto, (3, 4, 5, 0, 1)) == 0x00050001
    assert verdict(program, machine, sendto, (3, 4, 5, 0, 1 << 40)) == 0x00050001
    assert verdict(program, machine, {"x86_64": 0, "aarch64": 63}[machine]) == 0x7FFF0000  # read
    other = "aarch64" if machine == "x86_64" else "x86_64"
    assert verdict(program, other, 0) == 0x80000000
    if machine == "x86_64":
        assert verdict(program, machine, 0x40000000) == 0x80000000


def verdict(
    program: list[tuple[int, int, int, int]], machine: str, number: int, arguments: tuple[int, ...] = ()
) -> int:
    """Interpret the filter as the kernel would."""
    architecture = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}[machine]
    words = {0: number, 4: architecture}
    for index in range(6):
        value = arguments[index] if index < len(arguments) else 0
        words |= {16 + 8 * index: value & 0xFFFFFFFF, 20 + 8 * index: value >> 32}
    position, held = 0, 0
    while True:
        operation, yes, no, operand = program[position]
        position += 1
        if operation == 0x06:
            return operand
        if operation == 0x20:
            held = words[operand]
        else:
            jump = {0x15: held == operand, 0x35: held >= operand, 0x45: bool(held & operand)}[operation]
            position += yes if jump else no
