"""The gate in front of torch.jit.load, on archives written out by hand."""

from __future__ import annotations

import io
import pickle
import zipfile

import pytest

from glocert.errors import GlocertError, ModelTooLarge, UnreadableModel
from glocert.graph.limits import Limits
from glocert.graph.torchscript_archive import check_archive, traced_shape

GOOD = {
    "m/data.pkl": pickle.dumps({}, 2),
    "m/constants.pkl": pickle.dumps((), 2),
    "m/code/__torch__.py": b"class M(Module):\n  pass\n",
    "m/data/0": b"\0" * 64,
}


def archive(members: dict[str, bytes], deflated: tuple[str, ...] = ()) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as writer:
        for name, content in members.items():
            kind = zipfile.ZIP_DEFLATED if name in deflated else zipfile.ZIP_STORED
            writer.writestr(name, content, kind)
    return buffer.getvalue()


def call(reference: bytes) -> bytes:
    """A pickle that calls what ``reference`` names."""
    return b"\x80\x02c" + reference + b"\n(tR."


def test_a_plain_archive_passes() -> None:
    check_archive(archive(GOOD), Limits())
    check_archive(archive(GOOD, ("m/code/__torch__.py",)), Limits())


@pytest.mark.parametrize(
    "reference",
    [
        b"os\nsystem",
        b"__builtin__\neval",
        b"torch\nload",
        b"torch\nStorage",
        b"torch.jit._pickler\nx",
        b"__torch__.torch.classes.x\nY",
        b"collections\nnamedtuple",
        b"__torch__x\nY",
    ],
)
@pytest.mark.parametrize("member", ["m/data.pkl", "m/constants.pkl", "m/traced_inputs.pkl"])
def test_pickles_refer_to_nothing_strange(reference: bytes, member: str) -> None:
    with pytest.raises(UnreadableModel, match="calls Python"):
        check_archive(archive(GOOD | {member: call(reference)}), Limits())


@pytest.mark.parametrize("pickled", [pickle.dumps(ValueError, 4), b"\x80\x02\x82\x01.", b"\x80\x02no pickle"])
def test_other_ways_to_refer_are_refused(pickled: bytes) -> None:
    with pytest.raises(UnreadableModel):
        check_archive(archive(GOOD | {"m/data.pkl": pickled}), Limits())


@pytest.mark.parametrize(
    ("members", "limits", "kind"),
    [
        (GOOD | {"m/../../x": b""}, Limits(), UnreadableModel),
        (GOOD | {"/etc/x": b""}, Limits(), UnreadableModel),
        (GOOD | {"other/x": b""}, Limits(), UnreadableModel),
        (GOOD, Limits(members=3), ModelTooLarge),
        (GOOD, Limits(unpacked_bytes=80), ModelTooLarge),
        (GOOD, Limits(file_bytes=80), ModelTooLarge),
    ],
)
def test_places_and_sizes(members: dict[str, bytes], limits: Limits, kind: type[GlocertError]) -> None:
    with pytest.raises(kind):
        check_archive(archive(members), limits)


def test_compressed_members_are_refused_but_for_code_within_reason() -> None:
    with pytest.raises(UnreadableModel, match="Compressed"):
        check_archive(archive(GOOD, ("m/data/0",)), Limits())
    bomb = GOOD | {"m/code/big.py": b"#" * 2**22}
    with pytest.raises(ModelTooLarge, match="expands"):
        check_archive(archive(bomb, ("m/code/big.py",)), Limits())


def test_a_member_that_lies_about_its_size_is_refused() -> None:
    data = archive(GOOD | {"m/code/lie.py": b"#" * 2**16}, ("m/code/lie.py",))
    shown = (2**16).to_bytes(4, "little")
    assert data.count(shown) == 2
    with pytest.raises(GlocertError):
        check_archive(data.replace(shown, (100).to_bytes(4, "little")), Limits())


def test_a_name_twice_is_refused() -> None:
    data = archive(GOOD | {"m/data/1": b""})
    with pytest.raises(UnreadableModel, match="two members"):
        check_archive(data.replace(b"m/data/1", b"m/data/0"), Limits())


def test_programs_of_torch_export_are_called_so() -> None:
    with pytest.raises(UnreadableModel, match=r"torch\.export"):
        check_archive(archive({"m/models/model.json": b"{}", "m/version": b"1"}), Limits())


def test_an_example_of_several_inputs_tells_no_shape() -> None:
    assert traced_shape(archive(GOOD)) is None
    assert traced_shape(archive(GOOD | {"m/traced_inputs.pkl": pickle.dumps({}, 2)})) is None
