"""The shared models, their data and what the manifests say about them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Read = Callable[[str], tuple[np.ndarray, np.ndarray]]


@pytest.fixture(scope="session")
def models(shared_data: Path) -> dict[str, dict[str, Any]]:
    """Entries of the manifest by name."""
    entries = json.loads((shared_data / "manifest.json").read_text())["models"]
    return {entry["name"]: entry for entry in entries}


@pytest.fixture(scope="session")
def prepared(shared_data: Path) -> Callable[[str, dict[str, Any]], tuple[np.ndarray, np.ndarray]]:
    """A function from a data set and a preprocess_spec to the network's float32 inputs and the labels."""

    def prepare(name: str, spec: dict[str, Any]) -> tuple[np.ndarray, np.ndarray]:
        with np.load(shared_data / "datasets" / f"{name}.npz") as archive:
            images, labels = archive["images"], archive["labels"]
        x = images.astype(np.float32) / np.float32(255 if spec.get("scale", True) else 1)
        x = x[:, None] if x.ndim == 3 else x.transpose(0, 3, 1, 2)
        if "mean" in spec:
            mean, std = (np.array(spec[key], np.float32)[:, None, None] for key in ("mean", "std"))
            x = (x - mean) / std
        x = x.transpose(0, 2, 3, 1) if spec.get("layout") == "NHWC" else x
        return np.ascontiguousarray(x.reshape(len(x), *spec.get("reshape", x.shape[1:]))), labels

    return prepare
