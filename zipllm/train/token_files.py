"""Documents to token files: ``tokens/train-NAME.bin`` and ``tokens/valid-NAME.bin`` in the folder of a run."""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from zipllm.data.inputs import DataFile
from zipllm.data.reading import documents
from zipllm.data.split import SMALL_BYTES, Split, document_bytes, fit_bound
from zipllm.data.unpack import UNPACK_LIMITS, UnpackLimits, raw_chunks
from zipllm.data.windows import TOKEN_DTYPE
from zipllm.temporary import replacing
from zipllm.tokenizer import Tokenizer

Kind = Literal["train", "valid"]


@dataclass(frozen=True)
class SourceData:
    """The surveyed files of one source, and how they are cut and divided; a split with bound 0 holds nothing back.

    ``passed_over``: training runs and models in its folders, which are no data.
    """

    name: str
    weight: float
    files: tuple[DataFile, ...]
    split: Split
    limits: UnpackLimits = UNPACK_LIMITS
    passed_over: tuple[Path, ...] = ()

    @property
    def size(self) -> int:
        """Raw size of all files."""
        return sum(file.bytes for file in self.files)

    def documents(self) -> Iterator[tuple[bytes, bool]]:
        """Yield every document, and whether to hold it back."""
        for document in _cut(self.files, self.split.document_bytes, self.limits):
            yield document, self.split.is_valid(document)


def divide(files: Sequence[DataFile], wanted: int, limits: UnpackLimits) -> Split:
    """Choose how to cut surveyed files, and the documents to hold back: at least ``wanted`` bytes, or none for 0."""
    size = sum(file.bytes for file in files)
    plain = Split(document_bytes(size))
    if not wanted:
        return Split(plain.document_bytes, 0)
    if size > SMALL_BYTES:
        return plain
    return Split(plain.document_bytes, fit_bound(_cut(files, plain.document_bytes, limits), max(wanted, size // 100)))


def token_file(run: Path, kind: Kind, name: str) -> Path:
    """Where the ids of a source are."""
    return run / "tokens" / f"{kind}-{name}.bin"


def write_tokens(run: Path, source: SourceData, tokenizer: Tokenizer, kinds: Sequence[Kind]) -> None:
    """Tokenize a source, each document into the file of its side; of a single kind, all into one file.

    Raises:
        OSError: a file cannot be written; none is left behind.
    """
    with contextlib.ExitStack() as stack:
        sinks = [stack.enter_context(replacing(token_file(run, kind, source.name)))[0] for kind in kinds]
        for document, held in source.documents():
            sink = sinks[-1] if held else sinks[0]
            sink.write(tokenizer.encode(document).astype(TOKEN_DTYPE).tobytes())


def _cut(files: Sequence[DataFile], size: int, limits: UnpackLimits) -> Iterator[bytes]:
    for file in files:
        yield from documents(raw_chunks(file.path, limits), size)
