"""A source with known content, mode and times."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from zipllm.files.source import Source, open_source

CONTENT = b"the quick brown fox\n" * 50
MTIME_NS = 1_234_567_890_123_456_789


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(CONTENT)
    path.chmod(0o640)
    os.utime(path, ns=(MTIME_NS, MTIME_NS))
    return path


@pytest.fixture
def source(file: Path) -> Iterator[Source]:
    with open_source(str(file), follow=False, special=False) as opened:
        yield opened


@pytest.fixture
def piped() -> Iterator[Source]:
    """A source that is a pipe, as standard input often is."""
    reader, writer = os.pipe()
    os.close(writer)
    import io

    from zipllm.files.stream import NamedFile

    with Source(None, io.BufferedReader(NamedFile(reader, "r", "pipe")), os.fstat(reader)) as opened:
        yield opened
