"""Labeled texts from files and folders, and refused input."""

import json
import lzma
from pathlib import Path

import pytest

from tests.data.test_reading import long_zst
from zipllm.classify.documents import Document, Splits, read_documents, sample
from zipllm.errors import CorruptData, FileError, LimitExceeded, UsageError

ROWS = [{"text": "学而时习之", "label": "zh"}, {"text": "a\nb\ud800", "label": 7}, {"text": "", "label": "", "more": 1}]
WANTED = [Document("学而时习之".encode(), "zh"), Document(b"a\nb\xed\xa0\x80", "7"), Document(b"", "")]


def test_json_lines(tmp_path: Path) -> None:
    lines = "\n\n".join(map(json.dumps, ROWS)).encode()
    (tmp_path / "plain").write_bytes(lines)
    (tmp_path / "packed.xz").write_bytes(lzma.compress(lines))
    assert read_documents(tmp_path / "plain") == read_documents(tmp_path / "packed.xz") == WANTED


def test_a_long_window_is_taken_if_asked_for(tmp_path: Path) -> None:
    (tmp_path / "long.zst").write_bytes(long_zst("\n".join(map(json.dumps, ROWS)).encode()))
    with pytest.raises(LimitExceeded, match="--max-window allows more"):
        read_documents(tmp_path / "long.zst")
    assert read_documents(tmp_path / "long.zst", window=1 << 28) == WANTED


def test_folders(tmp_path: Path) -> None:
    for name in ("ham/2", "ham/deeper/1", "spam/1"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode() + b"\xff")
    found = read_documents(tmp_path)
    assert [document.label for document in found] == ["ham", "ham", "spam"]
    assert found[2].text == b"spam/1\xff"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "line 1: not JSON"),
        ("[" * 100_000, "line 1: not JSON"),
        ("[]", "not an object"),
        ('{"label": 1}', "no field 'text'"),
        ('{"text": 1, "label": 1}', "not a text in the field 'text'"),
        ('{"text": "a"}', "no field 'label'"),
        ('{"text": "a", "label": true}', "neither text nor integer"),
        ('{"text": "a", "label": 1.5}', "neither text nor integer"),
        (b"\xff", "not JSON"),
    ],
)
def test_lines_that_are_not_documents(tmp_path: Path, line: str | bytes, message: str) -> None:
    (tmp_path / "t").write_bytes(line if isinstance(line, bytes) else line.encode())
    with pytest.raises(CorruptData, match=message):
        read_documents(tmp_path / "t")


def test_nothing_to_read(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        read_documents(tmp_path / "none")
    (tmp_path / "empty").write_bytes(b"\n \n")
    with pytest.raises(FileError, match="no document"):
        read_documents(tmp_path / "empty")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileError, match="folder"):
        read_documents(tmp_path / "folder")
    (tmp_path / "folder/file").write_bytes(b"x")
    with pytest.raises(FileError, match="in no folder of a label"):
        read_documents(tmp_path / "folder")


def test_too_much(tmp_path: Path) -> None:
    (tmp_path / "t").write_text('{"text": "a", "label": 1}\n' * 9)
    with pytest.raises(LimitExceeded, match="100 bytes"):
        read_documents(tmp_path / "t", 100)
    (tmp_path / "f/a").mkdir(parents=True)
    for name in ("1", "2"):
        (tmp_path / "f/a" / name).write_bytes(b"x" * 60)
    with pytest.raises(LimitExceeded, match="100 bytes"):
        read_documents(tmp_path / "f", 100)


def test_samples() -> None:
    documents = [Document(b"", str(number)) for number in range(50)]
    assert sample(documents, None, 0) == sample(documents, 50, 0) == sample(documents, 99, 0) == documents
    chosen = sample(documents, 10, 3)
    assert chosen == sample(documents, 10, 3) != sample(documents, 10, 4)
    assert [int(document.label) for document in chosen] == sorted({int(document.label) for document in chosen})
    assert len(chosen) == 10


def test_labels() -> None:
    train = [Document(b"", "b"), Document(b"", "a"), Document(b"", "b")]
    assert Splits(train, [Document(b"", "c")]).labels == ["a", "b", "c"]
    with pytest.raises(UsageError, match="'b'; at least two"):
        Splits(train[:1], train)
