"""Refuses to learn from benchmarks: by name, and by digest under any name.

A corpus may set bytes aside for training (``train``), and others for validation (``valid``).
"""

from pathlib import Path
from typing import Literal

from zipllm.data.registry import Corpus, CorpusFile, corpora
from zipllm.data.slices import check_slice, parse_slice, show_slice
from zipllm.data.unpack import raw_chunks
from zipllm.errors import UsageError

Use = Literal["train", "valid"]

_TELLING_BYTES = 64
"""Content of fewer bytes does not prove its origin; one benchmark file is the letter a."""

_WORDS = {"train": "may be trained on", "valid": "may be used for validation"}


def names_corpus(text: str) -> bool:
    """Whether an argument names a registered corpus, or a file or slice of one, and is not an existing path."""
    return not Path(text).exists() and parse_slice(text)[0].partition("/")[0] in corpora()


def corpus_part(text: str, use: Use) -> tuple[Corpus, CorpusFile, slice]:
    """Return the part of a corpus that an argument like ``enwik8[0:90M]`` names.

    Raises:
        UsageError: the corpus has no such file or part, or does not set it aside for this use.
    """
    name, part = parse_slice(text)
    corpus_name, _, file_name = name.partition("/")
    corpus = corpora()[corpus_name]
    files = [file for file in corpus.files if file_name in ("", file.name)]
    if not files:
        raise UsageError(f"the corpus {corpus_name} has no file {file_name!r}")
    allowed = _allowed_part(corpus, use)
    begin, end = check_slice(text, part, files[0].bytes) if allowed else (0, 0)
    if allowed is None or not allowed[0] <= begin < end <= allowed[1]:
        raise UsageError(f"{text}: {_refusal(corpus, use)}")
    return corpus, files[0], slice(begin, end)


def _allowed_part(corpus: Corpus, use: Use) -> tuple[int, int] | None:
    """Return begin and end of the bytes that a corpus sets aside for a use; only corpora of a single file do."""
    return corpus.train if use == "train" else corpus.valid


def check_file(name: str, path: Path, size: int, sha256: str, use: Use) -> None:
    """Refuse a file of a benchmark, by the size and the SHA-256 (hexadecimal) of its raw content.

    Raises:
        UsageError: the file belongs to a benchmark.
    """
    if size < _TELLING_BYTES:
        return
    for corpus, file in [(owner, file) for owner in corpora().values() for file in owner.files if file.bytes == size]:
        if file.digest == (sha256 if file.algorithm == "sha256" else _digest(path, file)):
            raise UsageError(f"{name}: is {corpus.name}/{file.name}; {_refusal(corpus, use)}")


def _refusal(corpus: Corpus, use: Use) -> str:
    allowed = _allowed_part(corpus, use)
    if allowed is None:
        return f"{corpus.name} is a benchmark, nothing of it {_WORDS[use]}"
    return f"{corpus.name} is a benchmark, only {corpus.name}{show_slice(*allowed)} of it {_WORDS[use]}"


def _digest(path: Path, file: CorpusFile) -> str:
    hasher = file.hasher()
    for chunk in raw_chunks(path):
        hasher.update(chunk)
    return hasher.hexdigest()
