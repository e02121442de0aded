from __future__ import annotations

import io
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from glocert.data.inspect import inspect_dataset
from glocert.data.limits import DataLimits
from glocert.errors import DatasetRejected, DatasetTooLarge, InvalidImages, InvalidLabels, UnreadableDataset

RNG = np.random.default_rng(4)
GREY = RNG.integers(0, 256, (3, 4, 5), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (4, 5, 3), dtype=np.uint8)


def picture(array: np.ndarray, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def inspect(folder: Path, members: dict[str, bytes], limits: DataLimits | None = None):
    """Zip, inspect, and return the report, the inputs and the labels."""
    with zipfile.ZipFile(folder / "upload", "w") as target:
        for name, data in members.items():
            target.writestr(name, data)
    report = inspect_dataset(folder / "upload", folder, filename="set.zip", limits=limits or DataLimits())
    labels = folder / "labels.npy"
    return report, np.load(folder / "inputs.npy"), np.load(labels) if labels.exists() else None


def test_pictures_in_the_order_of_their_names(tmp_path):
    members = {f"set/{name}.png": picture(GREY[at]) for name, at in [("c", 2), ("a", 0), ("b", 1)]}
    report, inputs, labels = inspect(tmp_path, members)
    np.testing.assert_array_equal(inputs, GREY)
    assert labels is None
    assert (report["format"], report["shape"], report["dtype"]) == ("zip", [4, 5], "uint8")


@pytest.mark.parametrize("header", [b"", b"\xef\xbb\xbffilename,label\r\n"])
def test_labels_decide_the_order(tmp_path, header):
    members = {f"set/{at}.PNG": picture(GREY[at]) for at in range(3)}
    members["set/labels.csv"] = header + b"2.PNG,7\n0.PNG, 3\n\n"
    report, inputs, labels = inspect(tmp_path, members)
    np.testing.assert_array_equal(inputs, GREY[[2, 0]])
    assert labels is not None
    assert labels.tolist() == [7, 3]
    assert report["labels"]["max"] == 7


def test_one_colour_picture_makes_all_of_them_colour(tmp_path):
    members = {
        "a.png": picture(COLOUR),
        "b.png": picture(GREY[0]),
        "c.jpg": picture(COLOUR, "JPEG", quality=95),
    }
    _, inputs, _ = inspect(tmp_path, members)
    assert inputs.shape == (3, 4, 5, 3)
    np.testing.assert_array_equal(inputs[0], COLOUR)
    np.testing.assert_array_equal(inputs[1], np.repeat(GREY[0][..., None], 3, axis=2))


@pytest.mark.parametrize(
    ("members", "error", "message"),
    [
        ({"a.png": picture(GREY[0]), "notes.txt": b"x"}, UnreadableDataset, "notes.txt"),
        ({"labels.csv": b""}, InvalidImages, "empty"),
        ({"a.png": b"no picture"}, InvalidImages, "a.png is not a readable PNG"),
        ({"a.png": picture(COLOUR, "JPEG")}, InvalidImages, "a.png is not a readable PNG"),
        ({"a.png": picture(GREY[0])[:60]}, InvalidImages, "a.png is not a readable picture"),
        ({"a.png": picture(GREY[0]), "b.png": picture(GREY[0][:3])}, InvalidImages, r"\(5, 4\) and \(5, 3\)"),
        ({"a.png": picture(GREY[0].astype(np.uint16))}, InvalidImages, "mode I;16"),
        ({"a.png": picture(np.zeros((2, 2, 4), np.uint8))}, InvalidImages, "mode RGBA"),
        ({"a.png": picture(GREY[0]), "labels.csv": b"b.png,1"}, InvalidLabels, "row 0 .* not in the archive"),
        ({"a.png": picture(GREY[0]), "labels.csv": b"a.png,1\na.png,x"}, InvalidLabels, "row 1"),
        ({"a.png": picture(GREY[0]), "labels.csv": b"a.png,-1"}, InvalidLabels, r"label -1 .* \(row 0\)"),
        ({"a.png": picture(GREY[0]), "labels.csv": b"\xff\xfea"}, InvalidLabels, "encoding"),
        ({"a.png": picture(GREY[0]), "labels.csv": b"labels.csv,1"}, InvalidLabels, "not in the archive"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, members, error, message):
    with pytest.raises(error, match=message):
        inspect(tmp_path, members)
    assert not (tmp_path / "inputs.npy").exists()


def test_a_picture_is_measured_before_it_is_decoded(tmp_path):
    bomb = picture(np.zeros((3000, 3000), np.uint8))
    assert len(bomb) < 20_000
    with pytest.raises(DatasetTooLarge, match="3000 x 3000"):
        inspect(tmp_path, {"a.png": bomb}, DataLimits(item_elements=2**20))


def test_huge_dimensions_in_a_header_are_refused(tmp_path):
    data = bytearray(picture(GREY[0]))
    data[16:24] = b"\x7f\xff\xff\xff" * 2
    with pytest.raises(DatasetRejected):
        inspect(tmp_path, {"a.png": bytes(data)})


def test_photographs_from_a_real_camera(tmp_path, shared_data):
    members = {path.name: path.read_bytes() for path in (shared_data / "datasets/driving").glob("*.jpg")}
    report, inputs, _ = inspect(tmp_path, members)
    assert inputs.shape == (6, 256, 455, 3)
    assert report["items"] == 6
