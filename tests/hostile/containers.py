"""Containers that are larger, deeper or longer than they look: gzip, zip, protobuf."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib

import numpy as np
import onnx

from tests.fuzz.seeds import archive
from tests.glocert.graph import onnx_models
from tests.hostile.registry import hostile

GIB = 2**30
_CHUNK = 2**24


def zeros(size: int) -> bytes:
    """Return a raw deflate stream of so many zeros, a thousandth as long: whole blocks are repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packer.compress(bytes(_CHUNK))
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    block = packer.compress(bytes(_CHUNK)) + packer.flush(zlib.Z_FULL_FLUSH)
    return block * (size // _CHUNK) + packer.flush(zlib.Z_FINISH)


def gzipped(stream: bytes) -> bytes:
    """Put a deflate stream into a gzip file; its checksum is wrong, but nobody should get that far."""
    return b"\x1f\x8b\x08\x00\0\0\0\0\x02\xff" + stream + struct.pack("<II", 0, 0)


def zipped(name: str, stream: bytes, size: int, *, more: bytes = b"") -> bytes:
    """Put a deflate stream into a zip file that claims ``size`` bytes for it."""
    inner, size = name.encode(), min(size, 2**32 - 1)
    local = struct.pack("<4s5H3I2H", b"PK\x03\x04", 20, 0, 8, 0, 33, 0, len(stream), size, len(inner), 0)
    body = local + inner + stream + more
    entry = struct.pack(
        "<4s6H3I5H2I", b"PK\x01\x02", 20, 20, 0, 8, 0, 33, 0, len(stream), size, len(inner), 0, 0, 0, 0, 0, 0
    )
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(entry) + len(inner), len(body), 0)
    return body + entry + inner + end


@hostile("gzip-bomb.onnx.gz")
def gzip_bomb() -> bytes:
    """Four gigabytes of zeros in four megabytes of gzip."""
    return gzipped(zeros(4 * GIB))


@hostile("gzip-bomb-behind-a-model.onnx.gz")
def gzip_bomb_behind_a_model() -> bytes:
    """A model whose gzip file goes on with a second member of two gigabytes."""
    return gzip.compress(onnx_models.dense().SerializeToString()) + gzipped(zeros(2 * GIB))


@hostile("gzip-of-gzip.onnx.gz")
def gzip_of_gzip() -> bytes:
    """A model that was compressed five times."""
    data = onnx_models.dense().SerializeToString()
    for _ in range(5):
        data = gzip.compress(data)
    return data


@hostile("gzip-cut.onnx.gz")
def gzip_cut() -> bytes:
    """A gzip file that breaks off."""
    return gzip.compress(onnx_models.dense().SerializeToString())[:-20]


@hostile("zip-bomb.onnx.zip")
def zip_bomb() -> bytes:
    """A zip whose model expands to four gigabytes."""
    return zipped("model.onnx", zeros(4 * GIB), 2**32 - 1)


@hostile("zip-lying-size.onnx.zip")
def zip_lying_size() -> bytes:
    """A zip member that says it is a kilobyte and expands to a gigabyte."""
    return zipped("model.onnx", zeros(GIB), 1024)


@hostile("zip-bomb.pt")
def torchscript_bomb() -> bytes:
    """A TorchScript archive whose code expands to a gigabyte."""
    return zipped("m/code/__torch__.py", zeros(GIB), GIB)


@hostile("zip-many-members.onnx.zip")
def zip_many_members() -> bytes:
    """A zip of 60,000 empty files."""
    model = onnx_models.dense().SerializeToString()
    return archive({"model.onnx": model} | {f"{place}": b"" for place in range(60_000)})


@hostile("zip-overlapping.onnx.zip")
def zip_overlapping() -> bytes:
    """A zip whose directory names the same compressed gigabyte two hundred times."""
    once = zipped("0.bin", zeros(GIB // 4), GIB // 4)
    start = once.index(b"PK\x01\x02")
    entry = once[start : once.index(b"PK\x05\x06", start)]
    entries = b"".join(entry.replace(b"0.bin", b"%05d" % place) for place in range(200))
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 200, 200, len(entries), start, 0)
    return once[:start] + entries + end


def _with_data(location: str, **places: int) -> onnx.ModelProto:
    model = onnx_models.dense()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    for key, value in ({"location": location} | places).items():
        tensor.external_data.add(key=key, value=str(value))
    return model


def _beside(location: str, **places: int) -> bytes:
    model = _with_data(location, **places).SerializeToString()
    return archive({"model.onnx": model, "model.bin": bytes(80)})


@hostile("external-traversal.onnx.zip")
def external_traversal() -> bytes:
    """Weights at a path that climbs out of the archive."""
    return _beside("../../../../../../etc/passwd", offset=0, length=80)


@hostile("external-absolute.onnx.zip")
def external_absolute() -> bytes:
    """Weights at an absolute path."""
    return _beside("/proc/self/environ")


@hostile("external-missing.onnx.zip")
def external_missing() -> bytes:
    """Weights in a file that is not there."""
    return _beside("weights.bin")


@hostile("external-beyond.onnx.zip")
def external_beyond() -> bytes:
    """Weights that begin inside the data file and end outside."""
    return _beside("model.bin", offset=40, length=80)


@hostile("external-backwards.onnx.zip")
def external_backwards() -> bytes:
    """Weights at a negative offset."""
    return _beside("model.bin", offset=-8, length=80)


@hostile("external-endless.onnx.zip")
def external_endless() -> bytes:
    """Weights of more bytes than there are in the world."""
    return _beside("model.bin", offset=0, length=2**63)


@hostile("external-itself.onnx.zip")
def external_itself() -> bytes:
    """Weights in the model file itself."""
    return _beside("model.onnx", offset=0, length=80)


@hostile("external-shared.onnx.zip")
def external_shared() -> bytes:
    """Four hundred tensors of 64 MiB that all lie in the same 64 MiB of zeros, which compress to nothing."""
    model, size = onnx_models.dense(), 2**26
    for place in range(400):
        tensor = model.graph.initializer.add(name=f"w{place}", data_type=1, dims=[size // 4])
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="w")
    return archive({"m.onnx": model.SerializeToString(), "w": bytes(size)}, zipfile.ZIP_DEFLATED)


@hostile("external-symlink.onnx.zip")
def external_symlink() -> bytes:
    """A data file that is a symbolic link to the password file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as made:
        made.writestr("model.onnx", _with_data("model.bin").SerializeToString())
        link = zipfile.ZipInfo("model.bin")
        link.create_system, link.external_attr = 3, 0o120777 << 16
        made.writestr(link, "/etc/passwd")
    return buffer.getvalue()


@hostile("zip-two-models.zip")
def zip_two_models() -> bytes:
    """A zip with two models."""
    model = onnx_models.dense().SerializeToString()
    return archive({"a.onnx": model, "b.onnx": model})


@hostile("zip-in-zip.zip")
def zip_in_zip() -> bytes:
    """A zip in a zip in a zip."""
    data = archive({"model.onnx": onnx_models.dense().SerializeToString()})
    for place in range(3):
        data = archive({f"{place}.onnx": data})
    return data


@hostile("zip-no-model.zip")
def zip_no_model() -> bytes:
    """A zip of something else."""
    return archive({"holiday.txt": b"sun"})


def _varint(number: int) -> bytes:
    made = b""
    while number > 127:
        made, number = made + bytes([number & 127 | 128]), number >> 7
    return made + bytes([number])


def _field(number: int, content: bytes) -> bytes:
    """Return a length-delimited protobuf field."""
    return bytes([number << 3 | 2]) + _varint(len(content)) + content


def _model(graph: bytes) -> bytes:
    return b"\x08\x08" + _field(8, b"\x0a\x00\x10\x11") + _field(7, graph)


@hostile("protobuf-deep.onnx")
def protobuf_deep() -> bytes:
    """Graphs in attributes of nodes of graphs, ten thousand messages deep."""
    data = b""
    for _ in range(3_334):
        data = _field(1, _field(5, _field(6, data)))
    return _model(data)


@hostile("protobuf-deep-type.onnx")
def protobuf_deep_type() -> bytes:
    """An input that is a sequence of sequences of sequences, thousands deep."""
    kind = _field(1, b"\x08\x01")
    for _ in range(5_000):
        kind = _field(4, _field(1, kind))
    return _model(_field(11, _field(1, b"x") + _field(2, kind)))


@hostile("protobuf-many-nodes.onnx")
def protobuf_many_nodes() -> bytes:
    """Ten million empty nodes in twenty megabytes."""
    return _model(b"\x0a\x00" * 10_000_000)


@hostile("protobuf-many-names.onnx")
def protobuf_many_names() -> bytes:
    """One node with ten million empty inputs."""
    return _model(_field(1, b"\x0a\x00" * 10_000_000))


@hostile("protobuf-unknown-fields.onnx")
def protobuf_unknown_fields() -> bytes:
    """Ten million fields that no version of ONNX knows."""
    return onnx_models.dense().SerializeToString() + b"\xf8\x07\x00" * 10_000_000


@hostile("protobuf-group.onnx")
def protobuf_group() -> bytes:
    """Groups that are opened and never closed."""
    return b"\x0b" * 100_000


@hostile("protobuf-long-varint.onnx")
def protobuf_long_varint() -> bytes:
    """A number that never ends."""
    return b"\x08" + b"\x80" * 1_000_000


@hostile("tensor-packed.onnx")
def tensor_packed() -> bytes:
    """A tensor of a hundred million packed numbers, one byte each, that are declared to be four."""
    model = onnx_models.dense()
    del model.graph.initializer[0]
    tensor = b"\x08" + _varint(100_000_000) + b"\x10\x07" + _field(8, b"W1") + _field(7, bytes(100_000_000))
    return bytes(model.SerializeToString()) + _field(7, _field(5, tensor))


@hostile("name-long.onnx")
def name_long() -> bytes:
    """A node with a name of ten megabytes."""
    model = onnx_models.dense()
    model.graph.node[0].name = "n" * 10_000_000
    return bytes(model.SerializeToString())


@hostile("name-documentation.onnx")
def long_documentation() -> bytes:
    """A good graph whose nodes say ten megabytes each in prose, with a NaN among its weights."""
    model = onnx_models.dense()
    for node in model.graph.node:
        node.doc_string = "d" * 10_000_000
    model.graph.initializer[1].CopyFrom(onnx.numpy_helper.from_array(np.full(5, np.nan, np.float32), "b1"))
    return bytes(model.SerializeToString())
