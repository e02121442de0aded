"""Images along a path through a generator, as a plain forward pass in float32 makes them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from glocert.graph.ir import Graph
from glocert.graph.run import run
from glocert.paths.path import Path
from glocert.paths.segment import Float64


@dataclass(frozen=True, slots=True, eq=False)
class Rendered:
    """The images of a path through vectors.

    Attributes:
        path: of any number of parameters.
        front: vector -> image, before the clamp.
        channels: how many of the image's first axis are shown; ``None`` for all.
    """

    path: Path
    front: Graph
    channels: int | None = None

    def at(self, t: Sequence[float]) -> Float64:
        """Return the image at ``t``: vector and generator in float32, then widened."""
        vector = torch.from_numpy(self.path.at(t).astype(np.float32))
        with torch.inference_mode(), torch.backends.cudnn.flags(allow_tf32=False):
            image = run(self.front, vector[None])[0].numpy()
        return image[: self.channels].astype(np.float64)
