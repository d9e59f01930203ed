"""Files and folders of training data, compressed or not."""

import bz2
import gzip
import lzma
import os
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from zipllm.data.reading import documents, find_files, read_data
from zipllm.data.unpack import UnpackLimits, raw_chunks
from zipllm.errors import CorruptData, FileError, LimitExceeded

DATA = b"some bytes\n" * 1000
PACKED: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.compress,
}


def test_a_plain_file(tmp_path: Path) -> None:
    (tmp_path / "file.txt").write_bytes(DATA)
    assert read_data(tmp_path / "file.txt", UnpackLimits(10)) == DATA, "the limit is for what is unpacked"


@pytest.mark.parametrize("suffix", PACKED)
def test_reading_by_suffix(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(PACKED[suffix](DATA))
    assert read_data(path) == DATA
    path.write_bytes(PACKED[suffix](DATA) + PACKED[suffix](b"a second stream"))
    assert read_data(path) == DATA + b"a second stream"


MORE = b"more lines\n" * 100


@pytest.mark.parametrize(
    ("suffix", "between", "follows", "content"),
    [  # as gzip 1.12, bzip2 1.0.8, xz 5.4 and zstd 1.5 unpack them; None: an error
        (".gz", b"", b"garbage!", "ignored"),
        (".gz", b"\0" * 513, b"", "whole"),
        (".gz", b"\0" * 8, MORE, "ignored"),
        (".bz2", b"", b"garbage!", "ignored"),
        (".bz2", b"\0" * 512, b"", "ignored"),
        (".bz2", b"\0" * 8, MORE, "ignored"),
        (".xz", b"", b"garbage!", None),
        (".xz", b"\0" * 512, b"", "whole"),
        (".xz", b"\0" * 8, MORE, "both"),
        (".xz", b"\0" * 3, b"", None),
        (".zst", b"", b"garbage!", None),
        (".zst", b"\0" * 512, b"", None),
        (".zst", b"\x50\x2a\x4d\x18\x04\0\0\0skip", MORE, "both"),
        *((suffix, b"", MORE, "both") for suffix in PACKED),
    ],
)
def test_what_follows_the_packed_content(
    tmp_path: Path, suffix: str, between: bytes, follows: bytes, content: str | None
) -> None:
    path = tmp_path / f"file{suffix}"
    path.write_bytes(PACKED[suffix](DATA) + between + (PACKED[suffix](MORE) if follows == MORE else follows))
    ignored = list[int]()
    if content is None:
        with pytest.raises(CorruptData, match=f"file{suffix}: not a whole"):
            b"".join(raw_chunks(path))
        return
    found = b"".join(raw_chunks(path, ignored=lambda: ignored.append(1)))
    assert found == DATA + (MORE if content == "both" else b"")
    assert len(ignored) == (content == "ignored")


@pytest.mark.parametrize("suffix", PACKED)
def test_an_empty_file_is_no_packed_file(tmp_path: Path, suffix: str) -> None:
    (tmp_path / f"file{suffix}").touch()
    with pytest.raises(CorruptData, match="it is empty"):
        read_data(tmp_path / f"file{suffix}")


def long_zst(data: bytes) -> bytes:
    """As ``zstd --long=28``: more than a reader takes by default."""
    long = zstandard.ZstdCompressionParameters.from_level(1, window_log=28)
    stream = zstandard.ZstdCompressor(compression_params=long).compressobj()
    return stream.compress(data) + stream.flush()


def test_a_long_window_has_a_limit_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "long.zst"
    path.write_bytes(long_zst(DATA))
    with pytest.raises(LimitExceeded, match=r"long.zst: .*--max-window allows more"):
        read_data(path)
    assert read_data(path, UnpackLimits(window=1 << 28)) == DATA


@pytest.mark.parametrize("suffix", PACKED)
@pytest.mark.parametrize("kept", [0.5, 0.99])
def test_truncated_files_are_named(tmp_path: Path, suffix: str, kept: float) -> None:
    path = tmp_path / f"cut{suffix}"
    content = PACKED[suffix](os.urandom(30_000))
    path.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(CorruptData, match=f"cut{suffix}: not a whole {suffix} file"):
        read_data(path)


@pytest.mark.parametrize("suffix", PACKED)
def test_what_unpacks_to_too_much_is_refused_in_little_memory(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"bomb{suffix}"
    path.write_bytes(PACKED[suffix](bytes(64 << 20)))
    size = 0
    tracemalloc.start()
    try:
        with pytest.raises(LimitExceeded, match="more than the 33,554,432 bytes"):
            for chunk in raw_chunks(path, UnpackLimits(32 << 20)):
                size += len(chunk)
        assert tracemalloc.get_traced_memory()[1] < 24 << 20
    finally:
        tracemalloc.stop()
    assert size <= 32 << 20


@pytest.mark.parametrize("suffix", [".gz", ".xz", ".bz2", ".zst"])
@pytest.mark.parametrize("damage", [b"not this format at all", b"\x1f\x8b\x08\x00"])
def test_damaged_files_are_named(tmp_path: Path, suffix: str, damage: bytes) -> None:
    path = tmp_path / f"broken{suffix}"
    path.write_bytes(damage)
    with pytest.raises(CorruptData, match="broken"):
        read_data(path)


def test_folders_are_walked_in_order_and_hidden_files_left_out(tmp_path: Path) -> None:
    for name in ("b/two", "a/one", ".git/config", "c"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert [path.name for path in find_files([tmp_path])] == ["one", "two", "c"]


def test_runs_and_models_are_passed_over_and_named(tmp_path: Path) -> None:
    for name in ("runs/a/.zipllm-run", "runs/a/metrics.jsonl", "notes", "model.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "model.safetensors").write_bytes(bytes(8) + b'{"__metadata__":{"zipllm":""}}')
    passed_over = list[Path]()
    assert find_files([tmp_path], passed_over) == [tmp_path / "notes"]
    assert sorted(path.relative_to(tmp_path).as_posix() for path in passed_over) == ["model.safetensors", "runs/a"]


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("*", ["one", "two", "a[1]", "c"]),
        ("**", ["one", "two", "a[1]", "c"]),
        ("**/o?e", ["one"]),
        ("[bc]", ["two", "c"]),
        ("a[1]", ["a[1]"]),
    ],
)
def test_patterns(tmp_path: Path, pattern: str, names: list[str]) -> None:
    for name in ("b/two", "a/one", "a/.hidden", ".git/config", "c", "a[1]"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert sorted(path.name for path in find_files([tmp_path / pattern])) == sorted(names)


def test_a_file_named_twice_counts_once(tmp_path: Path) -> None:
    (tmp_path / "one").write_bytes(b"x")
    assert len(find_files([tmp_path, tmp_path / "one", tmp_path / "o*"])) == 1


def test_a_pipe_is_refused_instead_of_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileError, match="not a regular file"):
        read_data(tmp_path / "pipe")


def test_missing_and_empty_are_errors(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        find_files([tmp_path / "nothing"])
    with pytest.raises(FileError, match="no file matches"):
        find_files([tmp_path / "*.log"])
    (tmp_path / ".hidden").write_bytes(b"x")
    with pytest.raises(FileError, match=r"no files.*hidden"):
        find_files([tmp_path])


@pytest.mark.parametrize("data", [b"", b"x", b"line\n" * 50_000, b"\x00" * 200_000, b"a" * 65_536 + b"\n"])
def test_documents_join_to_the_whole(data: bytes) -> None:
    parts = list(documents([data]))
    assert b"".join(parts) == data
    assert list(documents(data[start : start + 999] for start in range(0, len(data), 999))) == parts
    assert all(0 < len(part) <= 65_536 for part in parts)
