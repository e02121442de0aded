"""What no test of the library may do unnoticed: have a loop compiled for types that it does not state."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from numba import types
from numba.core import sigutils
from numba.core.dispatcher import Dispatcher

from glocert.compiled import SIGNATURES


@pytest.fixture(autouse=True)
def nothing_unstated_is_compiled(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """Fail what makes a job wait: Python calls a loop with types that are not in its signatures.

    Tests of the loops themselves (folders ``loops``) may call what only other loops call.
    """
    compile_for, unstated = Dispatcher._compile_for_args, []

    def noting(loop: Any, *arguments: Any) -> Any:
        kinds = tuple(loop.typeof_pyval(argument) for argument in arguments)
        stated = (sigutils.normalize_signature(text)[0] for text in SIGNATURES.get(loop, ()))
        if loop.__module__.startswith("glocert.") and kinds not in set(stated):
            signature = f"({', '.join(map(written, kinds))},)"
            unstated.append(f'{loop.__module__}.{loop.__qualname__}: @compiled("{signature}")')
        return compile_for(loop, *arguments)

    monkeypatch.setattr(Dispatcher, "_compile_for_args", noting)
    yield
    if "loops" not in request.path.parts and unstated:
        pytest.fail("A job would compile (CONTRIBUTING, A compiled loop):\n" + "\n".join(unstated))


def written(kind: Any) -> str:
    """Write a type as signatures do."""
    if isinstance(kind, types.Array) and kind.layout == "C":
        axes = ", ".join([":"] * (kind.ndim - 1) + ["::1"])
        return f"{kind.dtype}[{axes}]"
    if isinstance(kind, types.UniTuple):
        return f"UniTuple({written(kind.dtype)}, {kind.count})"
    if isinstance(kind, types.Tuple):
        return f"Tuple(({', '.join(map(written, kind.types))}))"
    return str(kind)
