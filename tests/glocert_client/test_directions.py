"""What the commands about directions read, without a service."""

import base64
from pathlib import Path

import pytest
import typer

from glocert_client.decision import Decision, judge
from glocert_client.directions import read_groups, read_mask


def test_a_mask_is_numbers_or_a_file(tmp_path: Path) -> None:
    assert read_mask("") is None
    assert read_mask("8,-6,6,16") == {"type": "rectangle", "top": 8, "left": -6, "height": 6, "width": 16}
    (tmp_path / "mask.png").write_bytes(b"picture")
    picture = read_mask(str(tmp_path / "mask.png"))
    assert picture == {"type": "picture", "png": base64.b64encode(b"picture").decode()}


def test_groups_are_labels() -> None:
    assert read_groups("", "") is None
    assert read_groups("1,7", "") == {"by": "label", "positive": [1, 7]}
    assert read_groups("1", "0,2") == {"by": "label", "positive": [1], "negative": [0, 2]}


@pytest.mark.parametrize("text", ["1,2,3", "a,b,c,d", "missing.png"])
def test_what_is_no_mask(text: str) -> None:
    with pytest.raises(typer.BadParameter):
        read_mask(text)


@pytest.mark.parametrize(
    ("summary", "ground"),
    [
        ({"directions": [{}, {}], "artifacts": [{}]}, "2 directions made"),
        ({"directions": [{}]}, "1 direction made"),
        ({"artifacts": [{}, {}, {}]}, "3 artifacts made"),
        ({"guesses": []}, "1 answer made"),
    ],
    ids=["directions", "one", "files", "precheck"],
)
def test_a_job_that_certifies_nothing_passes_when_it_has_succeeded(
    summary: dict[str, object], ground: str
) -> None:
    found = judge({"status": "succeeded", "summary": summary}, None)
    assert (found.decision, found.ground) == (Decision.PASS, ground)
