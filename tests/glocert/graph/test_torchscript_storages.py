"""Archives whose pickles lie about tensors: refused before PyTorch believes them."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable

import pytest
import torch

from glocert.errors import UnreadableModel
from glocert.graph.limits import Limits
from glocert.graph.torchscript_archive import check_archive
from glocert.graph.torchscript_storages import check_storages

Members = dict[str, bytes]


@pytest.fixture(scope="module")
def members() -> Members:
    """A good archive, unpacked; its first tensor is a matrix of 5 rows and 7 columns."""
    buffer = io.BytesIO()
    torch.jit.save(torch.jit.script(torch.nn.Linear(7, 5)), buffer)
    with zipfile.ZipFile(buffer) as archive:
        return {name: archive.read(name) for name in archive.namelist() if not name.endswith("debug_pkl")}


def packed(members: Members) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def changed(members: Members, ending: str, change: Callable[[bytes], bytes]) -> bytes:
    name = next(name for name in members if name.endswith(ending))
    return packed(members | {name: change(members[name])})


def swapped(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    def change(content: bytes) -> bytes:
        assert old in content
        return content.replace(old, new, 1)

    return change


def test_a_good_archive_passes(members):
    check_archive(packed(members), Limits())


@pytest.mark.parametrize("kept", [0, 4, 139])
def test_a_storage_shorter_than_it_claims_is_refused(members, kept):
    data = changed(members, "/data/0", lambda content: content[:kept])
    with pytest.raises(UnreadableModel) as caught:
        check_archive(data, Limits())
    assert "claims more than it holds" in caught.value.offences[0].detail


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"(K\x05K\x07t", b"(K\x06K\x07t"),  # six rows
        (b"(K\x05K\x07t", b"(K\x05K\x08t"),  # eight columns
        (b"(K\x07K\x01t", b"(K\x08K\x01t"),  # a longer way to the next row
        (b"(K\x07K\x01t", b"(J\xff\xff\xff\xffK\x01t"),  # backwards
    ],
)
def test_a_tensor_that_reaches_beyond_its_storage_is_refused(members, old, new):
    with pytest.raises(UnreadableModel) as caught:
        check_archive(changed(members, "/data.pkl", swapped(old, new)), Limits())
    assert "tensor" in caught.value.offences[0].detail


def test_names_that_differ_in_case_only_are_refused(members):
    name = next(name for name in members if name.endswith("/data/0"))
    with pytest.raises(UnreadableModel, match="two members of one name"):
        check_archive(packed(members | {name.replace("/data/0", "/DATA/0"): b""}), Limits())


def test_code_that_runs_at_load_is_found_whatever_the_case_of_its_name(members):
    code = b"class M(Module):\n  def __setstate__(self, state: int) -> None:\n    return None\n"
    root = next(iter(members)).partition("/")[0]
    with pytest.raises(Exception, match="runs code of its own"):
        check_archive(packed(members | {f"{root}/CODE/__torch__/more.PY": code}), Limits())


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x02K\x00)R.",  # PyTorch takes a number for the function of that place
        # a number for the type
        b"\x80\x02(X\x07\x00\x00\x00storageK\x06X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x01tQ.",
        b"\x80\x02h\x05.",  # nothing was put there
        b"\x80\x02t.",  # no mark
        b"\x80\x04\x95\x00\x00\x00\x00\x00\x00\x00\x00\x8c\x01x\x94.",  # an opcode of a later protocol
        b"\x80\x02N2.",  # an opcode that it does not know
    ],
)
def test_pickles_that_pytorch_does_not_write_are_refused(data):
    with pytest.raises(UnreadableModel):
        check_storages("data.pkl", data, {"0": 100})
