from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glocert.data.limits import DataLimits
from glocert.data.table import read_csv
from glocert.errors import DatasetTooLarge, InvalidImages, InvalidLabels, UnreadableDataset


def read(folder: Path, text: str | bytes, limits: DataLimits | None = None):
    """Return the report, the inputs and the labels of a table."""
    for old in folder.glob("*.npy"):
        old.unlink()
    path = folder / "table.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    report = read_csv(path, folder, limits or DataLimits())
    labels = folder / "labels.npy"
    return report, np.load(folder / "inputs.npy"), np.load(labels).tolist() if labels.exists() else None


def test_the_first_column_is_the_label(tmp_path):
    report, inputs, labels = read(tmp_path, "7,0,255\n2,1,3\n")
    assert inputs.tolist() == [[0, 255], [1, 3]]
    assert inputs.dtype == np.uint8
    assert labels == [7, 2]
    assert report["shape"] == [2]


@pytest.mark.parametrize(
    ("text", "inputs", "labels"),
    [
        ("label,a,b\n7,1,2\n", [[1, 2]], [7]),
        ('"a","Class","b"\n1,7,2\n', [[1, 2]], [7]),
        ("a,b,c\n1,7,2\n", [[1, 7, 2]], None),
        ("\ufeff7, 1 ,2\r\n\r\n8,3,4", [[1, 2], [3, 4]], [7, 8]),
        ("7.0,1e0,2.\n", [[1, 2]], [7]),
    ],
)
def test_headers_spaces_and_ends_of_line(tmp_path, text, inputs, labels):
    _, found, marks = read(tmp_path, text)
    assert (found.tolist(), marks) == (inputs, labels)
    assert found.dtype == np.uint8


@given(
    rows=st.lists(st.lists(st.floats(-1e3, 1e3, width=32), min_size=3, max_size=3), min_size=1, max_size=5),
    label=st.integers(0, 9),
)
def test_numbers_come_back_as_they_were_written(tmp_path_factory, rows, label):
    text = "".join(f"{label}," + ",".join(map(repr, row)) + "\n" for row in rows)
    _, inputs, labels = read(tmp_path_factory.mktemp("table"), text)
    np.testing.assert_array_equal(inputs, np.array(rows, dtype=np.float32))
    assert labels == [label] * len(rows)


def test_one_fraction_makes_the_whole_table_float32(tmp_path):
    assert read(tmp_path, "1,2,3\n1,2,0.5\n")[1].dtype == np.float32
    assert read(tmp_path, "1,2,256\n")[1].dtype == np.float32


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("7,0,0,0\n2,0,0\n", InvalidImages, "row 2 has 2 pixel values, expected 3"),
        ("7,0,zero,0\n", InvalidImages, "row 1 column 3 is not a number"),
        ("1,0\n=1+1,0\n", InvalidImages, "row 2 column 1 is not a number"),
        ("1,nan\n", InvalidImages, "row 1 column 2"),
        ("1,-inf\n", InvalidImages, "row 1 column 2"),
        ("1,1_0\n", InvalidImages, "row 1 column 2"),
        ("1,\n", InvalidImages, "row 1 column 2"),
        ("1,1e\n", InvalidImages, "row 1 column 2"),
        ("1,\u0664\n", InvalidImages, "row 1 column 2"),
        ("1,1e999\n", InvalidImages, "infinity"),
        ("1,1e39\n", InvalidImages, "too large for float32"),
        ("0.5,1\n", InvalidLabels, "row 1: labels must be integers"),
        ("1e999,1\n", InvalidLabels, "row 1: labels must be integers"),
        ("-1,1\n", InvalidLabels, "label -1 is out of range"),
        ("\n\n", InvalidImages, "empty"),
        ("a,b\n", InvalidImages, "empty"),
        ("7\n", InvalidImages, "empty"),
        (b"\xff\xfe7\x00", UnreadableDataset, "encoding"),
        (b"7,0\n\xe9,1", UnreadableDataset, "encoding"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, error, message):
    with pytest.raises(error, match=message):
        read(tmp_path, text)


def test_limits_hold(tmp_path):
    with pytest.raises(DatasetTooLarge, match="more than 2 rows"):
        read(tmp_path, "1,2\n" * 3, DataLimits(items=2))
    with pytest.raises(DatasetTooLarge, match="longer than"):
        read(tmp_path, "1" * 1000, DataLimits(item_elements=3))
    with pytest.raises(DatasetTooLarge, match="5 values"):
        read(tmp_path, "1,1,1,1,1,1", DataLimits(item_elements=4))
