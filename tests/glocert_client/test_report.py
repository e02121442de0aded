from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocert_client.report import safe_name


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("counterexample.png", "counterexample.png"),
        ("../../etc/passwd", "etc-passwd"),
        ("/etc/passwd", "etc-passwd"),
        ("..", "unnamed"),
        ("", "unnamed"),
        ("a\\..\\b", "a-b"),
    ],
)
def test_a_name_cannot_choose_a_folder(name: str, safe: str) -> None:
    assert safe_name(name) == safe


@given(st.text("./\\ab", max_size=12))
def test_whatever_it_is_called_it_stays_in_the_folder(name: str) -> None:
    path = PurePosixPath("folder") / safe_name(name)
    assert path.parent == PurePosixPath("folder")
    assert path.name not in {"", ".", ".."}
