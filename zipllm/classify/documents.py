"""Labeled texts: JSON lines with ``text`` and ``label``, or a folder for each label with a file for each text."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zipllm.data.reading import find_files
from zipllm.data.unpack import open_raw, raw_chunks
from zipllm.errors import CorruptData, FileError, LimitExceeded, UsageError

MOST_BYTES = 1 << 30
"""Limit on the unpacked bytes of all texts of a split, which are held in memory."""


@dataclass(frozen=True)
class Document:
    """A text as bytes, and its label."""

    text: bytes
    label: str


def read_documents(path: Path, most: int = MOST_BYTES) -> list[Document]:
    """Return all documents of a split, in the order of the file or of the sorted paths.

    Args:
        path: JSON lines, which may be packed (.gz .xz .bz2 .zst), or a folder. A label is a text or an integer.
        most: limit on the unpacked bytes.

    Raises:
        FileError: ``path`` cannot be read, or holds no document.
        CorruptData: a line is not a JSON object with ``text`` and ``label``, or a packed file is damaged.
        LimitExceeded: the texts have more than ``most`` bytes.
    """
    documents = list(_in_folders(path, most) if path.is_dir() else _in_lines(path, most))
    if not documents:
        raise FileError(f"{path}: holds no document")
    return documents


def sample(documents: Sequence[Document], limit: int | None, seed: int) -> list[Document]:
    """Return a random sample of ``limit`` documents in their order; all of them if there are no more."""
    if limit is None or limit >= len(documents):
        return list(documents)
    chosen = np.random.default_rng(seed).permutation(len(documents))[:limit]
    return [documents[index] for index in sorted(chosen.tolist())]


def labels_of(train: Sequence[Document], test: Sequence[Document]) -> list[str]:
    """Return all labels, sorted.

    Raises:
        UsageError: all training texts have the same label.
    """
    known = {document.label for document in train}
    if len(known) < 2:
        raise UsageError(f"all training texts have the label {next(iter(known))!r}; at least two are needed")
    return sorted(known | {document.label for document in test})


def _in_lines(path: Path, most: int) -> Iterator[Document]:
    if not path.exists():
        raise FileError(f"{path}: no such file or folder")
    read = 0
    with open_raw(path, most) as stream:
        for number, line in enumerate(stream, 1):
            read += len(line)
            if read > most:
                raise LimitExceeded(f"{path}: holds more than the {most:,} bytes allowed for texts")
            if line.strip():
                yield _document(line, f"{path}, line {number}")


def _document(line: bytes, where: str) -> Document:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CorruptData(f"{where}: not JSON ({error})") from error
    if not isinstance(record, dict):
        raise CorruptData(f"{where}: not an object with text and label")
    text, label = record.get("text"), record.get("label")
    if not isinstance(text, str):
        raise CorruptData(f"{where}: {'no field' if text is None else 'not a text in the field'} 'text'")
    if not isinstance(label, str | int) or isinstance(label, bool):
        raise CorruptData(
            f"{where}: {'no field' if label is None else 'neither text nor integer in the field'} 'label'"
        )
    return Document(text.encode("utf-8", "surrogatepass"), str(label))


def _in_folders(folder: Path, most: int) -> Iterator[Document]:
    """Each folder directly below ``folder`` names a label; files directly in ``folder`` have none."""
    read = 0
    for path in find_files([folder]):
        below = path.relative_to(folder).parts
        if len(below) < 2:
            raise FileError(f"{folder}: {os.fspath(path)} lies in no folder of a label")
        text = b"".join(raw_chunks(path, most))
        read += len(text)
        if read > most:
            raise LimitExceeded(f"{folder}: holds more than the {most:,} bytes allowed for texts")
        yield Document(text, below[0])
