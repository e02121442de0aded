"""Whole uploads through ``inspect_dataset``: what comes out can be read back, what is wrong is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glocert.data.inspect import inspect_dataset
from glocert.data.limits import DataLimits
from glocert.errors import DatasetRejected, DatasetTooLarge, InvalidImages, InvalidLabels, UnreadableDataset

IMAGES = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)
LABELS = np.array([3, 1, 4, 1, 5])
Inspect = Callable[..., dict[str, Any]]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def inspect(tmp_path: Path, out: Path) -> Inspect:
    """Upload arrays as an archive and inspect it."""

    def upload(filename: str = "data.npz", limits: DataLimits | None = None, **arrays: Any) -> dict[str, Any]:
        with (tmp_path / "upload").open("wb") as file:
            np.savez_compressed(file, **arrays)
        return inspect_dataset(tmp_path / "upload", out, filename=filename, limits=limits or DataLimits())

    return upload


def read(out: Path, name: str) -> np.ndarray:
    return np.load(out / f"{name}.npy", mmap_mode="r", allow_pickle=False)


def test_what_comes_out_is_what_went_in(inspect, out):
    report = inspect(images=IMAGES, labels=LABELS)
    np.testing.assert_array_equal(read(out, "inputs"), IMAGES)
    np.testing.assert_array_equal(read(out, "labels"), LABELS)
    assert read(out, "labels").dtype == np.int64
    assert report == {
        "format": "npz",
        "items": 5,
        "shape": [4, 3],
        "dtype": "uint8",
        "source_dtype": "uint8",
        "values": {"min": 0.0, "min_row": 0, "max": 59.0, "max_row": 4},
        "labels": {"count": 5, "min": 1, "min_row": 1, "max": 5, "max_row": 4, "classes": 4},
    }
    assert json.loads(json.dumps(report)) == report


def test_short_names_and_data_without_labels(inspect, out):
    assert inspect(x=IMAGES)["labels"] is None
    assert not (out / "labels.npy").exists()
    assert inspect(x=IMAGES, y=LABELS[:, None])["labels"]["count"] == 5


@pytest.mark.parametrize(
    ("source", "stored"),
    [
        ("uint8", "uint8"),
        ("int64", "uint8"),
        (">i2", "uint8"),
        ("bool", "float32"),
        ("float16", "float32"),
        ("float64", "float32"),
        (">f4", "float32"),
    ],
)
def test_every_real_dtype_becomes_uint8_or_float32(inspect, out, source, stored):
    images = (IMAGES % 2).astype(source)
    assert inspect(images=images)["dtype"] == stored
    assert read(out, "inputs").dtype == stored
    np.testing.assert_array_equal(read(out, "inputs"), IMAGES % 2)


def test_blocks_and_fortran_order_change_nothing(inspect, out):
    images = np.random.default_rng(1).normal(size=(37, 6, 5))
    small = DataLimits(block_bytes=700)
    inspect(images=images, limits=small)
    np.testing.assert_array_equal(read(out, "inputs"), images.astype(np.float32))
    inspect(images=np.asfortranarray(images), labels=np.arange(37, dtype=np.uint8), limits=small)
    np.testing.assert_array_equal(read(out, "inputs"), images.astype(np.float32))


def test_rows_of_extremes_are_counted_over_blocks(inspect):
    images = np.zeros((9, 4), np.float32)
    images[7, 2], images[8, 1] = -3, 6
    values = inspect(images=images, limits=DataLimits(block_bytes=32))["values"]
    assert values == {"min": -3.0, "min_row": 7, "max": 6.0, "max_row": 8}


def test_a_wrong_row_is_counted_over_blocks(inspect):
    images = np.zeros((9, 4), np.float32)
    images[7, 2] = np.nan
    with pytest.raises(InvalidImages, match=r"row 7"):
        inspect(images=images, limits=DataLimits(block_bytes=32))


def with_value(value: float, dtype: str = "float32") -> np.ndarray:
    images = np.zeros((9, 4, 4), dtype)
    images[7, 1, 2] = value
    return images


@pytest.mark.parametrize(
    ("arrays", "error", "message"),
    [
        ({"images": with_value(np.nan)}, InvalidImages, r"NaN or infinity \(row 7\)"),
        ({"images": with_value(-np.inf)}, InvalidImages, r"NaN or infinity \(row 7\)"),
        ({"images": with_value(1e300, "float64")}, InvalidImages, r"too large for float32 \(row 7\)"),
        ({"images": with_value(256, "int32")}, InvalidImages, r"0\.\.255.*\(row 7\)"),
        ({"images": with_value(-1, "int8")}, InvalidImages, r"0\.\.255.*\(row 7\)"),
        ({"images": IMAGES.astype("complex64")}, InvalidImages, "complex"),
        ({"images": IMAGES.astype(object)}, InvalidImages, "object"),
        ({"images": IMAGES.astype("U3")}, InvalidImages, "numeric"),
        ({"images": IMAGES.astype("datetime64[s]")}, InvalidImages, "numeric"),
        ({"images": np.zeros(3, [("a", "f4")])}, InvalidImages, "numeric"),
        ({"images": np.zeros((2, 2), "longdouble")}, InvalidImages, "64 bits"),
        ({"images": np.float32(3)}, InvalidImages, "two to four axes"),
        ({"images": np.zeros((2, 1, 1, 1, 1))}, InvalidImages, "two to four axes"),
        ({"images": np.zeros((0, 4, 4))}, InvalidImages, "empty"),
        ({"images": np.zeros((4, 0))}, InvalidImages, "no values"),
        ({"images": IMAGES, "labels": LABELS - 2}, InvalidLabels, r"label -1 is out of range \(row 1\)"),
        ({"images": IMAGES, "labels": LABELS + 2**40}, InvalidLabels, "out of range"),
        ({"images": IMAGES, "labels": LABELS + 0.5}, InvalidLabels, "integers, not float64"),
        ({"images": IMAGES, "labels": LABELS.astype(object)}, InvalidLabels, "integers"),
        ({"images": IMAGES, "labels": LABELS.astype(str)}, InvalidLabels, "integers"),
        ({"images": IMAGES, "labels": np.eye(5, dtype=int)}, InvalidLabels, r"\(5, 5\)"),
        ({"images": IMAGES, "labels": LABELS[:4]}, InvalidLabels, "differ: 5 and 4"),
        ({"images": IMAGES, "targets": LABELS}, UnreadableDataset, "found images, targets"),
        ({"labels": LABELS}, UnreadableDataset, "found labels"),
        ({"images": np.zeros((64, 2**16), np.uint8)}, DatasetTooLarge, "expands too much"),
    ],
)
def test_what_is_wrong_is_named_and_leaves_nothing(inspect, out, arrays, error, message):
    with pytest.raises(error, match=message):
        inspect(**arrays)
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        (DataLimits(items=4), "5 items"),
        (DataLimits(item_elements=11), "12 values"),
        (DataLimits(unpacked_bytes=100), "expands to"),
        (DataLimits(members=1), "2 members"),
    ],
)
def test_limits_hold(inspect, limits, message):
    with pytest.raises(DatasetTooLarge, match=message):
        inspect(images=IMAGES, labels=LABELS, limits=limits)


def test_one_array_is_unlabelled_data(tmp_path, out):
    np.save(tmp_path / "x.npy", IMAGES)
    report = inspect_dataset(tmp_path / "x.npy", out, filename="x.npy", limits=DataLimits())
    assert (report["format"], report["labels"]) == ("npy", None)
    np.testing.assert_array_equal(read(out, "inputs"), IMAGES)


def test_a_header_that_promises_more_than_there_is(tmp_path, out):
    np.save(tmp_path / "x.npy", IMAGES)
    (tmp_path / "x.npy").write_bytes((tmp_path / "x.npy").read_bytes()[:-7])
    with pytest.raises(UnreadableDataset, match="cut short"):
        inspect_dataset(tmp_path / "x.npy", out, filename="x.npy", limits=DataLimits())
    assert not list(out.iterdir())


@pytest.mark.parametrize(
    ("data", "filename", "message"),
    [
        (b"", "data.npz", "empty"),
        (b"hello", "data.npz", r"named \.npz but is not"),
        (b"PK\x03\x04rubbish", "data.npz", "not a readable zip"),
        (b"\x93NUMPY\x01\x00rubbish", "data.npy", "not a readable NumPy"),
        (b"\x93NUMPY\x09\x00" + bytes(100), "data.npy", "version"),
        (
            b"\x93NUMPY\x01\x00\x10\x00{'descr': __import__('os').system('id')}",
            "data.npy",
            "not a readable NumPy",
        ),
        (b"\x93NUMPY\x01\x00", "data.csv", r"named \.csv"),
        (b"whatever", "data", "unknown format"),
        (b"PAR1....", "data.parquet", "known formats"),
    ],
)
def test_files_of_no_known_form(tmp_path, out, data, filename, message):
    (tmp_path / "upload").write_bytes(data)
    with pytest.raises(UnreadableDataset, match=message):
        inspect_dataset(tmp_path / "upload", out, filename=filename, limits=DataLimits())


NEED_THE_MODEL = {"wrong_rank.npz", "wrong_size.npz", "labels_out_of_range.npz"}
WORDS = {
    "empty.npz": "empty",
    "text_renamed.npz": "not a npz",
    "truncated.npz": "not a readable zip",
    "object_array_pickle.npz": "object arrays are not accepted",
    "object_array_benign.npz": "object arrays are not accepted",
    "pixels_nan.npz": r"NaN or infinity \(row 2\)",
    "pixels_inf.npz": r"NaN or infinity \(row 2\)",
    "length_mismatch.npz": "differ: 6 and 5",
    "labels_negative.npz": r"label -1 is out of range \(row 5\)",
    "labels_string.npz": "labels must be integers",
    "images_string.npz": "images must be numeric",
    "images_complex.npz": "real numbers",
    "no_labels_key.npz": "found pictures, targets",
    "zero_rows.npz": "empty",
    "bomb_small.npz": "expands too much",
    "csv_ragged.csv": "row 2 has 2 pixel values, expected 3",
    "csv_not_numeric.csv": "row 1 column 3 is not a number",
    "csv_not_utf8.csv": "encoding",
}


def test_every_hostile_data_file_is_answered(shared_data, out):
    names = {path.name for path in (shared_data / "hostile/data").iterdir()}
    assert names == WORDS.keys() | NEED_THE_MODEL
    for name, words in WORDS.items():
        with pytest.raises(DatasetRejected, match=words):
            inspect_dataset(shared_data / "hostile/data" / name, out, filename=name, limits=DataLimits())
        assert not list(out.iterdir())


@pytest.mark.parametrize("name", ["mnist_test", "cifar10_test"])
def test_real_data_sets_come_through_unchanged(shared_data, out, name):
    path = shared_data / "datasets" / f"{name}.npz"
    inspect_dataset(path, out, filename=path.name, limits=DataLimits())
    with np.load(path) as source:
        np.testing.assert_array_equal(read(out, "inputs"), source["images"])
        np.testing.assert_array_equal(read(out, "labels"), source["labels"])
