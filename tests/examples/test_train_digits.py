"""The shipped sample files are what the training script makes, and a second training makes them again."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch

ROOT = Path(__file__).parents[2]
SHIPPED = ROOT / "examples/digits"
FILES = ("digits.npz", "digits.onnx", "digits.torchscript.pt")


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> list[Path]:
    """Train twice, each in a process of its own as a user would."""
    folders = [tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("second")]
    for folder in folders:
        command = [sys.executable, "-W", "error", "-m", "examples.train_digits", str(folder)]
        subprocess.run(command, cwd=ROOT, check=True, timeout=250)
    return folders


def digests(folder: Path) -> dict[str, str]:
    return {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}


def scores(folder: Path, images: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(folder / "digits.onnx")
    return session.run(None, {session.get_inputs()[0].name: images})[0]


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.load(SHIPPED / "digits.npz")["images"].astype(np.float32)[:, None] / np.float32(255)


def test_a_second_training_writes_the_same_bytes(trained):
    assert digests(trained[0]) == digests(trained[1])


def test_the_shipped_files_come_from_this_script(trained, images):
    # Other machines may sum in another order: the shipped bytes may differ then, their answers hardly.
    assert digests(trained[0])["digits.npz"] == digests(SHIPPED)["digits.npz"]
    np.testing.assert_allclose(scores(trained[0], images), scores(SHIPPED, images), rtol=0.01, atol=0.05)


def test_the_two_formats_agree_and_are_good(images):
    network = torch.jit.load(SHIPPED / "digits.torchscript.pt")
    with torch.no_grad():
        torchscript = network(torch.from_numpy(images)).numpy()
    onnx = scores(SHIPPED, images)
    np.testing.assert_allclose(onnx, torchscript, atol=1e-4)
    assert (onnx.argmax(axis=1) == np.load(SHIPPED / "digits.npz")["labels"]).mean() >= 0.9


def test_sample_files_are_small_and_name_no_machine():
    for name in FILES:
        data = (SHIPPED / name).read_bytes()
        assert len(data) < 100_000
        assert str(ROOT).encode() not in data
        assert b"train_digits.py" not in data
