"""Work side by side in threads: loops that hold no lock, and torch with one thread in each."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain, islice
from typing import TypeVar

import torch

Part = TypeVar("Part")
Result = TypeVar("Result")

_AHEAD = 3
"""parts for each thread that have been made and not been asked for"""


def side_by_side(work: Callable[[Part], Result], parts: Iterable[Part]) -> Iterator[Result]:
    """Yield the results of parts of some work, in order, from as many threads as torch uses.

    Parts are made in the calling thread, a few ahead of what it is waiting for. Whoever stops asking drops
    what has not begun.

    Args:
        work: holds no lock for long.
        parts: what it is given, one after the other.
    """
    threads, source = torch.get_num_threads(), iter(parts)
    ahead = list(islice(source, 2))
    if threads == 1 or len(ahead) < 2:
        yield from map(work, chain(ahead, source))
        return
    try:
        with ThreadPoolExecutor(threads, initializer=_alone) as pool:
            running = deque(pool.submit(work, part) for part in ahead)
            try:
                while running:
                    more = islice(source, _AHEAD * threads - len(running))
                    running.extend(pool.submit(work, part) for part in more)
                    yield running.popleft().result()
            finally:
                for one in running:
                    one.cancel()
    finally:
        torch.set_num_threads(threads)  # a thread that sets its own also sets what new threads begin with


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in the calling thread only; a thread of ``side_by_side`` does so anyway."""
    threads = torch.get_num_threads()
    if threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _alone() -> None:
    torch.set_num_threads(1)
