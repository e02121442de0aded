"""The network executed as a user would execute it: float32, in two independent runtimes."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from glocert.graph.export import to_onnx
from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.paths.items import Float32

NAMES = ("torch", "onnxruntime")
NO_LABEL = -1


def scores_in_torch(network: Graph, images: Float32, device: str = "cpu") -> Float32:
    """Run the graph in float32, without TF32.

    Args:
        network: takes images of the domain.
        images: float32, ``(N, *network.input_shape)``.
        device: where to compute.

    Returns:
        float32, ``(N, classes)``.
    """
    with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
        scores = run(network, torch.from_numpy(images).to(device))
    return np.asarray(scores.reshape(len(images), -1).cpu().numpy(), dtype=np.float32)


def predictions(scores: Float32) -> NDArray[np.int64]:
    """Return the label of every row: the first largest score, ``NO_LABEL`` where a score is not finite."""
    labels = np.argmax(scores, axis=1).astype(np.int64)
    return np.where(np.isfinite(scores).all(axis=1), labels, NO_LABEL)


class Runtimes:
    """Both runtimes of one network; onnxruntime gets a model written from the inert graph."""

    def __init__(self, network: Graph) -> None:
        self._network = network

    def scores(self, image: Float32) -> tuple[Float32, ...]:
        """Return the scores of one image, in the order of ``NAMES``."""
        batch = np.ascontiguousarray(image[None], dtype=np.float32)
        name = self._session.get_inputs()[0].name
        (other,) = self._session.run(None, {name: batch})
        return scores_in_torch(self._network, batch)[0], np.asarray(other, dtype=np.float32).reshape(-1)

    @cached_property
    def _session(self) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        model = to_onnx(self._network)
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
