from __future__ import annotations

import io
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path

import onnx
import pytest
from onnx import external_data_helper

from glocert.errors import ModelRejected, ModelTooLarge, UnreadableModel
from glocert.graph.formats import Read, read
from glocert.graph.limits import Limits
from tests.glocert.graph.onnx_models import dense

DEFLATED = zipfile.ZIP_DEFLATED


def external(location: str = "net.onnx.data") -> tuple[bytes, bytes]:
    """Return a model without its weights and the file of the weights, as the onnx package writes them."""
    proto, data = dense(), bytearray()
    for tensor in proto.graph.initializer:
        raw = tensor.raw_data
        data += bytes(-len(data) % 64)
        external_data_helper.set_external_data(tensor, location, offset=len(data), length=len(raw))
        data += raw
        tensor.ClearField("raw_data")
    return proto.SerializeToString(), bytes(data)


def zipped(members: Mapping[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def taken(data: bytes, limits: Limits | None = None, claimed: str | None = None) -> Read:
    return read(data, claimed, input_shape=None, output=None, limits=limits or Limits())


def refusal(data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(ModelRejected) as caught:
        taken(data, limits)
    return str(caught.value.to_problem())


WHOLE = taken(dense().SerializeToString()).imported.graph.digest()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, DEFLATED], ids=["stored", "deflated"])
@pytest.mark.parametrize("folder", ["", "model/"])
@pytest.mark.parametrize("claimed", [None, "onnx"])
def test_a_model_with_its_data_file_is_the_model(method: int, folder: str, claimed: str | None) -> None:
    model, data = external()
    found = taken(
        zipped({f"{folder}net.onnx": model, f"{folder}net.onnx.data": data}, method), claimed=claimed
    )
    assert found.imported.graph.digest() == WHOLE
    assert found.original("y") is not None
    assert list(found.notes) == []


def test_what_the_onnx_package_saves_is_taken(tmp_path: Path) -> None:
    proto = dense()
    onnx.save_model(
        proto, tmp_path / "net.onnx", save_as_external_data=True, size_threshold=0, location="w.bin"
    )
    members = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(members) == {"net.onnx", "w.bin"}
    assert taken(zipped(members)).imported.graph.digest() == WHOLE


def test_a_zipped_model_without_data_files_is_taken_and_strangers_are_noted() -> None:
    found = taken(zipped({"net.onnx": dense().SerializeToString(), "README": b"hello"}))
    assert found.imported.graph.digest() == WHOLE
    assert "README" in found.notes[0]


def test_alone_it_is_refused_with_a_way_out() -> None:
    words = refusal(external()[0])
    assert "External data is not accepted on its own" in words
    assert "upload a .zip" in words


@pytest.mark.parametrize(
    "location",
    ["../secret", "/etc/passwd", "..\\secret", "sub/../../secret", "other.data", "", "C:\\x", "net.onnx"],
)
def test_places_outside_the_archive_are_refused_tensor_by_tensor(location: str) -> None:
    model, data = external(location or "x")
    if not location:
        proto = onnx.ModelProto.FromString(model)
        for tensor in proto.graph.initializer:
            del tensor.external_data[:]
        model = proto.SerializeToString()
    words = refusal(zipped({"net.onnx": model, "net.onnx.data": data}))
    assert all(name in words for name in ("W1", "b1", "W2", "b2"))
    assert "is not in the archive" in words


@pytest.mark.parametrize(
    ("key", "value"),
    [("offset", "1000000"), ("offset", "-4"), ("length", "1000000"), ("length", "-1"), ("offset", "1e2"),
     ("offset", "9" * 30), ("length", "٣"), ("format", "raw"), ("offset", "0x10")],
)  # fmt: skip
def test_places_outside_the_file_are_refused(key: str, value: str) -> None:
    model, data = external()
    proto = onnx.ModelProto.FromString(model)
    entries = {entry.key: entry for entry in proto.graph.initializer[0].external_data}
    if key in entries:
        entries[key].value = value
    else:
        proto.graph.initializer[0].external_data.add(key=key, value=value)
    words = refusal(zipped({"net.onnx": proto.SerializeToString(), "net.onnx.data": data}))
    assert "W1" in words
    assert "is not inside" in words


def test_a_place_of_another_length_than_the_shape_is_refused() -> None:
    model, data = external()
    proto = onnx.ModelProto.FromString(model)
    next(entry for entry in proto.graph.initializer[0].external_data if entry.key == "length").value = "76"
    assert "does not match" in refusal(zipped({"net.onnx": proto.SerializeToString(), "net.onnx.data": data}))


def test_numbers_beside_a_location_are_not_taken_for_the_weights() -> None:
    """Else a loader that follows the location would compute another network than the certified one."""
    proto = dense()
    external_data_helper.set_external_data(proto.graph.initializer[0], "net.onnx.data", 0, 80)
    assert "External data is not accepted" in refusal(proto.SerializeToString())
    proto.graph.node[0].attribute.add(name="extra", t=proto.graph.initializer[0])
    del proto.graph.initializer[0].external_data[:]
    proto.graph.initializer[0].data_location = onnx.TensorProto.DEFAULT
    assert "External data is not accepted" in refusal(proto.SerializeToString())


def test_overlapping_places_do_not_multiply() -> None:
    proto = dense()
    for tensor in proto.graph.initializer:
        external_data_helper.set_external_data(tensor, "net.onnx.data")
        tensor.ClearField("raw_data")
    data = zipped({"net.onnx": proto.SerializeToString(), "net.onnx.data": bytes(1000)})
    with pytest.raises(ModelTooLarge, match="data files"):
        taken(data, Limits(file_bytes=3000))


def link(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info


def test_links_are_refused() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("net.onnx", external()[0])
        archive.writestr(link("net.onnx.data"), "/etc/passwd")
    assert "is a link" in refusal(buffer.getvalue())


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"a.onnx": b"", "b.onnx": b""}, "exactly one .onnx file; it has 2"),
        ({"net.onnx": b"", "../net.onnx.data": b""}, "outside its folder"),
        ({"net.onnx": b"", "/net.onnx.data": b""}, "outside its folder"),
        ({"net.onnx": b"", "a\\..\\b": b""}, "outside its folder"),
        ({"net.onnx": b"\xff\xff"}, "not a readable ONNX model"),
    ],
)
def test_odd_archives_are_refused(members: dict[str, bytes], words: str) -> None:
    assert words in refusal(zipped(members))


@pytest.mark.parametrize(
    ("limits", "setting"),
    [
        (Limits(members=1), "max_members"),
        (Limits(file_bytes=4000), "max_model_bytes"),
        (Limits(expansion=5), "max_expansion"),
        (Limits(name=10), "max_name"),
    ],
)
def test_limits_hold_before_anything_is_unpacked(limits: Limits, setting: str) -> None:
    model = dense().SerializeToString()
    data = zipped({"net.onnx": model, "net.onnx.data": bytes(4000)}, DEFLATED)
    with pytest.raises(ModelTooLarge, match=f"setting {setting}"):
        taken(data, limits)


def test_a_size_that_the_directory_understates_is_not_unpacked_beyond_it() -> None:
    model, data = external()
    whole = bytearray(zipped({"net.onnx": model, "net.onnx.data": data}, DEFLATED))
    real = len(data).to_bytes(4, "little")
    assert whole.count(real) >= 2
    lying = bytes(whole).replace(real, (40).to_bytes(4, "little"))
    assert "not" in refusal(lying)


def test_damaged_and_encrypted_archives_are_refused() -> None:
    model, data = external()
    whole = zipped({"net.onnx": model, "net.onnx.data": data})
    spoilt = whole.replace(data[:40], bytes(40), 1)
    assert "not a readable zip archive" in refusal(spoilt)
    flags = bytearray(whole)
    place = whole.rindex(b"PK\x01\x02")
    flags[place + 8] |= 1
    assert "encrypted" in refusal(bytes(flags))
    with pytest.raises(UnreadableModel):
        taken(whole[: len(whole) // 2])


def test_archives_of_pytorch_are_not_taken_for_it() -> None:
    with pytest.raises(UnreadableModel, match="TorchScript"):
        taken(zipped({"m/data.pkl": b"\x80\x02}.", "m/extra/x.onnx": b""}))
