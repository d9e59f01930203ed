"""Files and folders of training data, compressed or not."""

import bz2
import gzip
import lzma
import random
from pathlib import Path

import pytest
import zstandard

from zipllm.data.reading import documents, find_files, open_data, read_data
from zipllm.errors import FileError

DATA = b"some bytes\n" * 1000


@pytest.mark.parametrize(
    ("suffix", "content"),
    [
        (".txt", DATA),
        (".gz", gzip.compress(DATA)),
        (".xz", lzma.compress(DATA)),
        (".bz2", bz2.compress(DATA)),
        (".zst", zstandard.compress(DATA)),
    ],
)
def test_reading_by_suffix(tmp_path: Path, suffix: str, content: bytes) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(content)
    assert read_data(path) == DATA


PACK = {".gz": gzip.compress, ".xz": lzma.compress, ".bz2": bz2.compress, ".zst": zstandard.compress}


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("end", [3, 12, -3])
def test_truncated_files_are_no_data(tmp_path: Path, suffix: str, end: int) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(PACK[suffix](DATA)[:end])
    with pytest.raises(FileError, match="broken"):
        read_data(path)


@pytest.mark.parametrize("suffix", PACK)
def test_files_joined_are_data_joined(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"joined{suffix}"
    path.write_bytes(PACK[suffix](DATA) + PACK[suffix](b"") + PACK[suffix](b"more"))
    assert read_data(path) == DATA + b"more"


def test_pieces_of_a_zstd_file(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(300_000) + bytes(3_000_000)
    path = tmp_path / "file.zst"
    path.write_bytes(zstandard.compress(data))
    with open_data(path) as stream:
        assert b"".join(iter(lambda: stream.read(70_000), b"")) == data


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".zst"])
@pytest.mark.parametrize("damage", [b"not this format at all", b"\x1f\x8b\x08\x00"])
def test_damaged_files_are_named(tmp_path: Path, suffix: str, damage: bytes) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(damage)
    with pytest.raises(FileError, match="broken"):
        read_data(path)


def test_folders_are_walked_in_order_and_hidden_files_left_out(tmp_path: Path) -> None:
    for name in ("b/two", "a/one", ".git/config", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in find_files([tmp_path])] == ["one", "two", "c"]


def test_missing_and_empty_are_errors(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        find_files([tmp_path / "nothing"])
    with pytest.raises(FileError, match="no files"):
        find_files([tmp_path])


@pytest.mark.parametrize("data", [b"", b"x", b"line\n" * 50_000, b"\x00" * 200_000, b"a" * 65_536 + b"\n"])
def test_documents_join_to_the_whole(data: bytes) -> None:
    parts = list(documents(data))
    assert b"".join(parts) == data
    assert all(0 < len(part) <= 65_536 for part in parts)
