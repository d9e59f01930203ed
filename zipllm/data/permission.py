"""What a model may learn from: nothing that it will be measured with.

The registry lists the files of the known benchmarks. They are refused by name, and by their digest wherever they lie;
a corpus may set bytes aside for training, and others to watch the training with (``train`` and ``valid``).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from zipllm.data.registry import Corpus, CorpusFile, corpora
from zipllm.data.slices import check_slice, parse_slice, show_slice
from zipllm.data.unpack import raw_chunks
from zipllm.errors import UsageError

Use = Literal["train", "valid"]

_TELLING_BYTES = 64
"""Of a smaller file its content does not tell where it comes from: one of the benchmarks' is the letter a."""

_WORDS = {"train": "may be trained on", "valid": "may be used for validation"}


def names_corpus(text: str) -> bool:
    """Whether an argument names a registered corpus, a file or a slice of one, and no path that exists."""
    return not Path(text).exists() and parse_slice(text)[0].partition("/")[0] in corpora()


def corpus_part(text: str, use: Use) -> tuple[Corpus, CorpusFile, slice]:
    """Return the part of a corpus that an argument names.

    Args:
        text: as ``enwik8[0:90M]``.
        use: what for.

    Raises:
        UsageError: the corpus has no such file or part, or it is kept for measuring.
    """
    name, part = parse_slice(text)
    corpus_name, _, file_name = name.partition("/")
    corpus = corpora()[corpus_name]
    files = [file for file in corpus.files if file_name in ("", file.name)]
    if not files:
        raise UsageError(f"the corpus {corpus_name} has no file {file_name!r}")
    allowed = allowed_part(corpus, use)
    if allowed is None:
        raise UsageError(f"{text}: {_refusal(corpus, use)}")
    begin, end = check_slice(text, part, files[0].bytes)
    if not allowed[0] <= begin < end <= allowed[1]:
        raise UsageError(f"{text}: {_refusal(corpus, use)}")
    return corpus, files[0], slice(begin, end)


def allowed_part(corpus: Corpus, use: Use) -> tuple[int, int] | None:
    """Return begin and end of the bytes of a corpus set aside for a use; only one of a single file has any."""
    return corpus.train if use == "train" else corpus.valid


def check_file(name: str, path: Path, size: int, sha256: str, use: Use) -> None:
    """Refuse a file that is one of a benchmark's, whatever it is called here.

    Args:
        name: for the message.
        path: where it lies.
        size: of its raw content.
        sha256: of its raw content, hexadecimal.
        use: what for.

    Raises:
        UsageError: it is.
    """
    for corpus, file in _files_of_size(size):
        found = sha256 if file.algorithm == "sha256" else _digest(path, file)
        if found == file.digest:
            raise UsageError(f"{name}: is {corpus.name}/{file.name}; {_refusal(corpus, use)}")


def _refusal(corpus: Corpus, use: Use) -> str:
    allowed = allowed_part(corpus, use)
    if allowed is None:
        return f"{corpus.name} is a benchmark, nothing of it {_WORDS[use]}"
    return f"{corpus.name} is a benchmark, only {corpus.name}{show_slice(*allowed)} of it {_WORDS[use]}"


def _files_of_size(size: int) -> Iterator[tuple[Corpus, CorpusFile]]:
    if size < _TELLING_BYTES:
        return
    for corpus in corpora().values():
        for file in corpus.files:
            if file.bytes == size:
                yield corpus, file


def _digest(path: Path, file: CorpusFile) -> str:
    hasher = file.hasher()
    for chunk in raw_chunks(path):
        hasher.update(chunk)
    return hasher.hexdigest()
