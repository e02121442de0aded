from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from glocert.data.archive import files, opened
from glocert.data.limits import DataLimits
from glocert.errors import DatasetTooLarge, UnreadableDataset


def archive(path: Path, members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as target:
        for name, data in members.items():
            target.writestr(name, data)
    return path


@pytest.mark.parametrize("name", ["../x.npy", "a/../../x.npy", "/etc/x.npy", "a\\..\\x.npy"])
def test_members_that_point_outside(tmp_path, name):
    path = archive(tmp_path / "a.zip", {"fine": b"", name: b"x"})
    with pytest.raises(UnreadableDataset, match="points outside"), opened(path, DataLimits()):
        pass


def test_a_bomb_is_refused_by_its_directory_alone(tmp_path):
    path = archive(tmp_path / "a.zip", {"bomb": bytes(2**22)})
    with pytest.raises(DatasetTooLarge, match="expands too much: "), opened(path, DataLimits()):
        pass
    with opened(path, DataLimits(expansion=2000)) as accepted:
        assert accepted.infolist()[0].file_size == 2**22


def test_small_constant_members_are_no_bombs(tmp_path):
    with opened(archive(tmp_path / "a.zip", {"labels": bytes(10**6)}), DataLimits()) as accepted:
        assert len(accepted.read("labels")) == 10**6


def test_the_sum_counts(tmp_path):
    path = archive(tmp_path / "a.zip", {str(n): bytes([n]) * 1000 for n in range(5)})
    with opened(path, DataLimits(unpacked_bytes=5000)):
        pass
    with (
        pytest.raises(DatasetTooLarge, match="5000 bytes, 4999"),
        opened(path, DataLimits(unpacked_bytes=4999)),
    ):
        pass


def test_encrypted_members_and_damage(tmp_path):
    data = bytearray(
        archive(tmp_path / "a.zip", {"x": b"some text, long enough"}, zipfile.ZIP_STORED).read_bytes()
    )
    central = data.index(b"PK\x01\x02")
    encrypted = data.copy()
    encrypted[central + 8] |= 1
    (tmp_path / "e.zip").write_bytes(encrypted)
    with pytest.raises(UnreadableDataset, match="encrypted"), opened(tmp_path / "e.zip", DataLimits()):
        pass
    data[data.index(b"text")] ^= 1
    (tmp_path / "d.zip").write_bytes(data)
    with pytest.raises(UnreadableDataset, match="CRC"), opened(tmp_path / "d.zip", DataLimits()) as damaged:
        damaged.read("x")


def test_folders_and_leftovers_of_desktops_are_no_files(tmp_path):
    path = archive(
        tmp_path / "a.zip", {"a/": b"", "a/b.png": b"", "__MACOSX/a/._b.png": b"", "a/.DS_Store": b""}
    )
    with opened(path, DataLimits()) as accepted:
        assert [member.filename for member in files(accepted)] == ["a/b.png"]


def test_not_an_archive(tmp_path):
    (tmp_path / "a.zip").write_bytes(io.BytesIO(b"PK\x05\x06").getvalue())
    with (
        pytest.raises(UnreadableDataset, match="not a readable zip"),
        opened(tmp_path / "a.zip", DataLimits()),
    ):
        pass
