"""Texts of parentheses as trees: tokens, nothing else. Hostile texts end in one sentence with a place.

Nothing here recurses: a text of a million opening parentheses costs a refusal at the depth limit.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from glocert.errors import InvalidSpec

DEEPEST = 64
LONGEST = 64 * 2**20
_TOKEN = re.compile(r"\s+|;[^\n]*|(?P<token>[()]|[^\s();|\"]+)")
_SHOWN = 40


@dataclass(frozen=True, slots=True)
class Source:
    """A text whose places can be named.

    Attributes:
        text: the whole file.
    """

    text: str

    def refused(self, offset: int, detail: str) -> InvalidSpec:
        """Return the error for something at an offset."""
        line = self.text.count("\n", 0, offset) + 1
        column = offset - (self.text.rfind("\n", 0, offset) + 1) + 1
        return InvalidSpec(f"line {line}, column {column}: {detail}")


@dataclass(frozen=True, slots=True)
class Atom:
    """A word.

    Attributes:
        text: what it says.
        offset: where it starts.
    """

    text: str
    offset: int


@dataclass(frozen=True, slots=True)
class List:
    """What a pair of parentheses encloses.

    Attributes:
        items: in order.
        offset: where the parenthesis opens.
    """

    items: list[Expression] = field(default_factory=list)
    offset: int = 0

    @property
    def head(self) -> str:
        """The first word, empty where the list does not start with one."""
        return self.items[0].text if self.items and isinstance(self.items[0], Atom) else ""


Expression = Atom | List


def commands(source: Source) -> Iterator[List]:
    """Yield the lists at the top of a text, one at a time.

    Raises:
        InvalidSpec: the text is too long, has a word outside of parentheses or a character that no word has,
            is nested too deeply, or its parentheses do not match.
    """
    if len(source.text) > LONGEST:
        raise InvalidSpec(f"the property is longer than {LONGEST} characters")
    open_lists: list[List] = []
    for token, offset in _tokens(source):
        if token == "(":  # noqa: S105 - no password
            if len(open_lists) == DEEPEST:
                raise source.refused(offset, f"more than {DEEPEST} parentheses are open")
            open_lists.append(List([], offset))
        elif not open_lists:
            raise source.refused(offset, f"{shown(token)} stands outside of all parentheses")
        elif token == ")":  # noqa: S105
            done = open_lists.pop()
            if open_lists:
                open_lists[-1].items.append(done)
            else:
                yield done
        else:
            open_lists[-1].items.append(Atom(token, offset))
    if open_lists:
        raise source.refused(open_lists[-1].offset, "this parenthesis is never closed")


def shown(token: str) -> str:
    """Return a word as an error may show it."""
    return repr(token if len(token) <= _SHOWN else token[:_SHOWN] + "…")


def _tokens(source: Source) -> Iterator[tuple[str, int]]:
    at, text = 0, source.text
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise source.refused(at, f"{text[at]!r} has no meaning here")
        if match["token"]:
            yield match["token"], at
        at = match.end()
