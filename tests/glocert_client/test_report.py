from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocert_client import Client, ClientError
from glocert_client.report import safe_name, save
from tests.moody import Moody


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


def test_a_certificate_that_was_changed_on_the_way_is_noticed(moody: Moody, tmp_path: Path) -> None:
    moody.moods = [
        (200, {}, {"id": "job_1", "status": "succeeded", "certificate": {"sha256": "0" * 64}}),
        (200, {}, {"items": [], "next": None}),
        (200, {}, {"_type": "another statement"}),
    ]
    with Client(moody.url) as client, pytest.raises(ClientError, match="digest"):
        save(client.job("job_1"), tmp_path)
    assert not (tmp_path / "certificate.json").exists()
