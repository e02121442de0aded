"""Whether the code of a TorchScript archive is shallow and short enough for PyTorch's parser.

The parser, and everything that walks over its trees, calls itself for every bracket, block, sign and operator
that lies in another: code that is nested deep enough runs it out of stack, which ends the process. The text
is only counted here. What PyTorch writes itself stays far below all of these numbers: it gives every
intermediate value a line of its own.
"""

from __future__ import annotations

import re

from glocert.errors import ModelTooLarge

BRACKETS = 100
"""deepest brackets"""
OPERATORS = 2_000
"""operators, signs, dots and words such as ``not`` in one statement; a chain of them is a tree as deep"""
INDENTATION = 200
"""columns in front of a statement; a block takes two"""
TEXT = 4_000
"""characters of a text or a comment, which might be none to PyTorch"""
LINES = 60_000
"""lines of all files together"""

_TOKEN = re.compile(
    r"""
    (?P<text>"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*') | (?P<comment>\#[^\n]*)
    | (?P<open>[(\[{]) | (?P<close>[)\]}]) | (?P<line>\n(?P<indent>[ \t]*))
    | (?P<operator>[-+*/%.<>=!&|^~@]|\b(?:not|and|or|if|else|in|is|lambda)\b)
    """,
    re.DOTALL | re.VERBOSE,
)


def check_code(name: str, code: str) -> None:
    """Count brackets, operators and blocks of one file.

    Args:
        name: of the file, for the refusal.
        code: its text.

    Raises:
        ModelTooLarge: something in it is nested too deep.
    """
    depth = operators = 0
    for token in _TOKEN.finditer(code):
        kind = token.lastgroup
        if kind == "open":
            depth += 1
        elif kind == "close":
            depth -= 1
        elif kind == "operator":
            operators += 1
        elif kind in {"line", "indent"} and depth <= 0:
            depth = operators = 0
        elif kind in {"text", "comment"} and len(token[0]) > TEXT:
            raise ModelTooLarge(f"The code in {name!r} of the archive has a text that is too long.")
        if depth > BRACKETS or operators > OPERATORS or len(token["indent"] or "") > INDENTATION:
            raise ModelTooLarge(f"The code in {name!r} of the archive is nested too deep.")
