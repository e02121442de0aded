"""How many threads torch has, which is a setting of the whole process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch


@pytest.fixture
def threads_kept() -> Iterator[None]:
    """Give torch back the threads that it had, whatever a test makes of them."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(params=[2, 3])
def threads(request: pytest.FixtureRequest, threads_kept: None) -> int:
    """Give torch several threads; return how many."""
    torch.set_num_threads(request.param)
    return int(request.param)
