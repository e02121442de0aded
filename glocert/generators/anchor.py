"""The image that a generator makes of one code, as a proof knows it."""

from __future__ import annotations

import numpy as np

from glocert import forms
from glocert.errors import InvalidSpec
from glocert.forms.path import Parts
from glocert.forms.path import forms as forms_of
from glocert.graph.ir import Graph
from glocert.paths.items import Float32
from glocert.paths.rounded import Rounded
from glocert.paths.segment import Float64, Segment


class Anchor:
    """Encloses images of codes.

    Args:
        picture: code -> image, of operators that the form engine bounds.
        device: where it computes.

    Raises:
        UnsupportedOperators: names every node that it cannot bound.
    """

    def __init__(self, picture: Graph, device: str = "cpu") -> None:
        self._program = forms.prepare(picture, device)

    def image(self, code: Float64) -> Rounded:
        """Return ``G(z)`` in real arithmetic, with a proven bound on every number's error.

        Args:
            code: z, any shape of as many numbers; exact by definition.

        Raises:
            InvalidSpec: nothing is known of the image, as its numbers overflow.
        """
        graph, device = self._program.graph, self._program.device
        start = np.asarray(code, dtype=np.float64).reshape(graph.input_shape)
        point = Segment(start, start, np.zeros_like(start)).loaded(device)
        nowhere = Parts.between(np.zeros(1), np.zeros(1))
        found = self._program.scores(forms_of(point, nowhere, device))
        value, radius = (part[0].cpu().numpy() for part in (found.centre, found.error))
        slopes = found.slopes.abs().sum(0)[0].cpu().numpy()
        if not (np.isfinite(value).all() and np.isfinite(radius).all() and (slopes == 0).all()):
            raise InvalidSpec("the generator's image is not finite")
        return Rounded(value.reshape(graph.output_shape), radius.reshape(graph.output_shape))

    def residual(self, code: Float64, image: Float32) -> Rounded:
        """Return ``x - G(z)`` likewise: added to ``G(z)`` it gives the image back, exactly.

        Args:
            code: z.
            image: x, of the generator's shape; exact by definition.

        Raises:
            InvalidSpec: see ``image``.
        """
        return Rounded.exact(image.astype(np.float64)) - self.image(code)
