"""Work in threads of its own."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import torch

from glocert.engine.threads import one_thread, side_by_side


def test_work_is_side_by_side_and_results_in_order(threads):
    meeting = threading.Barrier(threads, timeout=20)

    def work(part: int) -> int:
        meeting.wait()  # nobody passes alone
        return part * part

    assert list(side_by_side(work, range(2 * threads))) == [part * part for part in range(2 * threads)]


@pytest.mark.usefixtures("threads")
def test_one_part_or_none_needs_no_other_thread():
    def work(part: int) -> tuple[int, threading.Thread]:
        return part, threading.current_thread()

    assert list(side_by_side(work, iter([7]))) == [(7, threading.current_thread())]
    assert list(side_by_side(work, [])) == []


def test_torch_has_one_thread_in_each(threads):
    def work(_: int) -> int:
        return torch.get_num_threads()

    assert set(side_by_side(work, range(9))) == {1}
    assert torch.get_num_threads() == threads
    later: list[int] = []
    beginner = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
    beginner.start()
    beginner.join()
    assert later == [threads]


def test_torch_keeps_to_the_calling_thread_for_a_while(threads):
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads


def test_parts_are_made_by_who_asks_and_not_far_ahead(threads):
    made: list[threading.Thread] = []

    def parts() -> Iterator[int]:
        for part in range(1000):
            made.append(threading.current_thread())
            yield part

    results = side_by_side(lambda part: part, parts())
    assert next(results) == 0
    assert set(made) == {threading.current_thread()}
    assert threads <= len(made) <= 10 * threads
    results.close()


@pytest.mark.usefixtures("threads")
def test_whoever_stops_asking_drops_what_has_not_begun():
    begun: list[int] = []

    def work(part: int) -> int:
        begun.append(part)
        time.sleep(0.02)
        return part

    results = side_by_side(work, range(500))
    assert next(results) == 0
    results.close()
    count = len(begun)
    assert count < 400  # all of them would take seconds
    time.sleep(0.05)
    assert len(begun) == count


@pytest.mark.usefixtures("threads")
def test_an_error_is_the_callers():
    def work(part: int) -> int:
        if part == 1:
            raise ValueError("the second")
        return part

    results = side_by_side(work, range(4))
    assert next(results) == 0
    with pytest.raises(ValueError, match="the second"):
        next(results)
