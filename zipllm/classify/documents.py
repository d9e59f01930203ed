"""Labeled texts: JSON lines with ``text`` and ``label``, or a folder for each label with a file for each text."""

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zipllm.data.reading import find_files
from zipllm.data.unpack import UNPACK_LIMITS, UnpackLimits, open_raw, raw_chunks
from zipllm.errors import CorruptData, FileError, LimitExceeded, UsageError

MOST_BYTES = 1 << 30
"""Limit on the unpacked bytes of all texts of a split, which are held in memory."""


@dataclass(frozen=True)
class Document:
    """A text as bytes, and its label."""

    text: bytes
    label: str


def read_documents(path: Path, most: int = MOST_BYTES, window: int = UNPACK_LIMITS.window) -> list[Document]:
    """Return all documents of a split, in the order of the file or of the sorted paths.

    Args:
        path: JSON lines, which may be packed (.gz .xz .bz2 .zst), or a folder. A label is a text or an integer.
        most: limit on the unpacked bytes.
        window: of ``UnpackLimits``.

    Raises:
        FileError: ``path`` cannot be read, or holds no document.
        CorruptData: a line is not a JSON object with ``text`` and ``label``, or a packed file is damaged.
        LimitExceeded: the texts have more than ``most`` bytes.
    """
    documents, read, limits = [], 0, UnpackLimits(most, window)
    for size, document in _in_folders(path, limits) if path.is_dir() else _in_lines(path, limits):
        read += size
        if read > most:
            raise LimitExceeded(f"{path}: holds more than the {most:,} bytes allowed for texts")
        documents.append(document)
    if not documents:
        raise FileError(f"{path}: holds no document")
    return documents


def sample(documents: Sequence[Document], limit: int | None, seed: int) -> list[Document]:
    """Return a random sample of ``limit`` documents in their order; all of them if there are no more."""
    if limit is None or limit >= len(documents):
        return list(documents)
    chosen = np.random.default_rng(seed).permutation(len(documents))[:limit]
    return [documents[index] for index in sorted(chosen.tolist())]


class Splits:
    """Training texts and texts to label.

    Attributes:
        train, test: the texts.
        labels: all labels, sorted.
        train_labels, truth: int64, places in ``labels``.

    Raises:
        UsageError: all training texts have the same label.
    """

    def __init__(self, train: Sequence[Document], test: Sequence[Document]) -> None:
        if len({document.label for document in train}) < 2:
            raise UsageError(f"all training texts have the label {train[0].label!r}; at least two are needed")
        self.labels = sorted({document.label for document in (*train, *test)})
        number = {label: index for index, label in enumerate(self.labels)}
        self.train, self.test = ([document.text for document in part] for part in (train, test))
        self.train_labels, self.truth = (
            np.array([number[document.label] for document in part], dtype=np.int64) for part in (train, test)
        )


def _in_lines(path: Path, limits: UnpackLimits) -> Iterator[tuple[int, Document]]:
    """Yield documents, each with the bytes that count against the limit."""
    if not path.exists():
        raise FileError(f"{path}: no such file or folder")
    with open_raw(path, limits) as stream:
        for number, line in enumerate(stream, 1):
            if line.strip():
                yield len(line), _document(line, f"{path}, line {number}")


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
        problem = "no field" if label is None else "neither text nor integer in the field"
        raise CorruptData(f"{where}: {problem} 'label'")
    return Document(text.encode("utf-8", "surrogatepass"), str(label))


def _in_folders(folder: Path, limits: UnpackLimits) -> Iterator[tuple[int, Document]]:
    """Each folder directly below ``folder`` names a label; files directly in ``folder`` have none."""
    for path in find_files([folder]):
        below = path.relative_to(folder).parts
        if len(below) < 2:
            raise FileError(f"{folder}: {os.fspath(path)} lies in no folder of a label")
        text = b"".join(raw_chunks(path, limits))
        yield len(text), Document(text, below[0])
