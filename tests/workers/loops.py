"""A compiled loop for children to run."""

from __future__ import annotations

from glocert.compiled import compiled


@compiled("(float64[::1],)")
def total(x):  # type: ignore[no-untyped-def]
    """Add up."""
    s = 0.0
    for i in range(x.shape[0]):
        s += x[i]
    return s
