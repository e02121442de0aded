"""What a child says is written in order, answers that follow each other together."""

from __future__ import annotations

import pytest

from workers.watch import GROUP, _together


@pytest.mark.parametrize(
    ("said", "groups"),
    [
        ("", []),
        ("rrr", ["rrr"]),
        ("prrdr", ["p", "rr", "d", "r"]),
        ("pp", ["p", "p"]),
        ("r" * (2 * GROUP + 1), ["r" * GROUP, "r" * GROUP, "r"]),
    ],
)
def test_only_answers_go_together(said: str, groups: list[str]) -> None:
    events = {"r": "result", "p": "progress", "d": "done"}
    messages = [{"event": events[letter], "at": at} for at, letter in enumerate(said)]
    found = list(_together(messages))
    assert [message["at"] for group in found for message in group] == list(range(len(said)))
    assert ["".join(message["event"][0] for message in group) for group in found] == groups
