from __future__ import annotations

import pytest

from glocert_client.latent import latent_parts, read_direction
from glocert_client.mutation import UnreadableMutation, describe_mutation, parse_mutation


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("latent=dir_01", {"direction_id": "dir_01"}),
        ("latent=3", {"extent": 3.0}),
        ("latent=-1:2.5,direction=dir_01", {"from": -1.0, "extent": 2.5, "direction_id": "dir_01"}),
        (
            "latent=3,anchor=generated,psnr=12",
            {"extent": 3.0, "anchor": "generated", "gates": {"psnr": 12.0}},
        ),
        ("latent=1,axis=-1", {"extent": 1.0, "axis": -1}),
        ("latent=dir_01,steps=9,seed=4", {"direction_id": "dir_01", "encoding": {"steps": 9, "seed": 4}}),
    ],
)
def test_what_is_written_is_what_is_asked(text, body):
    assert parse_mutation(text) == {"type": "latent", **body}


def test_several_at_once():
    box = parse_mutation("latent=dir_01*latent=1,direction=dir_02")
    assert [one["direction_id"] for one in latent_parts(box)] == ["dir_01", "dir_02"]
    assert latent_parts(parse_mutation("rotation=3")) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("latent=far", "not a number or the id of a direction"),
        ("latent=inf", "not finite"),
        ("latent=3,to=4", "none of the options anchor, axis, direction, psnr"),
        ("latent=3,steps=many", "not a whole number"),
    ],
)
def test_what_cannot_be_read_is_said(text, said):
    with pytest.raises(UnreadableMutation, match=said):
        parse_mutation(text)


@pytest.mark.parametrize(
    "text", ["latent=0:3,direction=dir_01", "latent=0:1,axis=2", "latent=-1:3", "latent=0:1,anchor=generated"]
)
def test_texts_come_back(text):
    assert describe_mutation(parse_mutation(text)) == text


def test_a_direction_is_an_id_or_a_file(tmp_path):
    file = tmp_path / "v.json"
    file.write_text("[1, 0.5]")
    assert read_direction(str(file)) == {"direction": [1.0, 0.5]}
    assert read_direction("dir_7") == {"direction_id": "dir_7"}
    file.write_text('{"a": 1}')
    for text, said in ((str(file), "list of numbers"), ("nowhere", "neither the id")):
        with pytest.raises(ValueError, match=said):
            read_direction(text)
