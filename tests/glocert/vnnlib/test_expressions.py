from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocert.errors import InvalidSpec
from glocert.vnnlib.expressions import DEEPEST, Atom, Source, commands

words = st.text("abcXY_0123456789.+-<=>*/", min_size=1, max_size=6)
trees = st.recursive(words, lambda inner: st.lists(inner, max_size=4), max_leaves=12)


def written(tree) -> str:
    return tree if isinstance(tree, str) else f"( {' '.join(map(written, tree))} ; remark )\n)"


def plain(expression):
    return expression.text if isinstance(expression, Atom) else [plain(item) for item in expression.items]


@given(forest=st.lists(st.lists(trees, max_size=4), max_size=4))
def test_what_is_written_is_read(forest):
    text = "\n".join(map(written, forest))
    assert [plain(command) for command in commands(Source(text))] == forest


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("(a (b)", "line 1, column 1: this parenthesis is never closed"),
        ("(a)\n b", "line 2, column 2: 'b' stands outside"),
        ("(a))", "line 1, column 4: '\\)' stands outside"),
        ("(a\n |b|)", "line 2, column 2: '\\|' has no meaning"),
        ("(" * 100_000, f"column {DEEPEST + 1}: more than {DEEPEST} parentheses"),
    ],
)
def test_broken_texts_are_refused_with_their_place(text, sentence):
    with pytest.raises(InvalidSpec, match=sentence):
        list(commands(Source(text)))
