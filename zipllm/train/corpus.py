"""From files to token files in the run folder, with the tokenizer learnt on the way.

Layout inside a run: ``tokenizer.json``, ``tokens/train-NAME.bin`` and ``tokens/valid-NAME.bin``. What
is already there is used again, so a resumed run neither reads nor tokenises its data a second time.
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from zipllm.data.reading import documents, find_files, read_data
from zipllm.data.windows import TOKEN_DTYPE, TokenSource, open_tokens
from zipllm.errors import FileError, UsageError
from zipllm.tokenizer import BpeTokenizer, ByteTokenizer, Tokenizer, tokenizer_from_dict, train_bpe

TOKENIZER_SAMPLE = 32_000_000
"""Bytes of training text the vocabulary is learnt from, spread over all sources."""
VALID_ONE_IN = 50
"""Without separate validation data, one document in so many is held back, chosen by its hash."""


@dataclass(frozen=True)
class Source:
    """Training or validation data under one name.

    Attributes:
        name: label, unique within the run; letters, digits, ``.``, ``_`` and ``-``.
        paths: files and folders.
        weight: multiplies the source's share of the training windows, which is otherwise its share of tokens.
        licence: goes into the model card.
    """

    name: str
    paths: tuple[Path, ...]
    weight: float = 1.0
    licence: str = ""


@dataclass(frozen=True)
class Corpus:
    """Tokenised data of a run.

    Attributes:
        tokenizer: of all token files.
        train: sources to draw windows from.
        valid: sources held back.
    """

    tokenizer: Tokenizer
    train: list[TokenSource]
    valid: list[TokenSource]


def prepare_corpus(run: Path, train: Sequence[Source], valid: Sequence[Source], vocabulary_size: int) -> Corpus:
    """Learn the tokenizer and tokenise everything into ``run``.

    Args:
        run: folder of the run; created when missing.
        train: training sources. Without ``valid``, one document in 50 of each is held back.
        valid: validation sources.
        vocabulary_size: 256 for a byte model, else the size of the byte-pair vocabulary.

    Raises:
        FileError: data cannot be read, or the folder cannot be written.
        UsageError: there is no data, or the vocabulary size is out of range.
    """
    try:
        (run / "tokens").mkdir(parents=True, exist_ok=True)
        tokenizer = _tokenizer(run / "tokenizer.json", train, vocabulary_size, held_back=not valid)
        sources = [_tokens(run, "train", source, tokenizer, None if valid else False) for source in train]
        held = [_tokens(run, "valid", source, tokenizer, None if valid else True) for source in valid or train]
    except OSError as error:
        raise FileError(f"cannot prepare {run}: {error.strerror or error}") from error
    kept = [source for source in sources if source is not None]
    if not kept:
        raise UsageError("there is no training data: every source is empty")
    return Corpus(tokenizer, kept, [source for source in held if source is not None])


def _documents(data: bytes) -> Iterator[bytes]:
    """Cut a file into documents of 64 KiB, or smaller ones when it is so small that it would be only a few."""
    return documents(data, max(1024, min(65_536, len(data) // 256)))


def is_validation(document: bytes) -> bool:
    """Whether a document is held back when no validation data is given: a fixed property of its bytes."""
    return hashlib.sha256(document).digest()[0] * VALID_ONE_IN < 256


def _tokenizer(path: Path, sources: Sequence[Source], vocabulary_size: int, held_back: bool) -> Tokenizer:
    if path.exists():
        try:
            return tokenizer_from_dict(json.loads(path.read_text()))
        except ValueError as error:
            raise FileError(f"{path} is not a tokenizer: {error}") from error
    if vocabulary_size == len(ByteTokenizer.vocabulary):
        tokenizer: BpeTokenizer | ByteTokenizer = ByteTokenizer()
    else:
        try:
            tokenizer = train_bpe(_sample(sources, held_back), vocabulary_size)
        except ValueError as error:
            raise UsageError(str(error)) from error
    path.write_text(json.dumps(tokenizer.to_dict()))
    return tokenizer


def _sample(sources: Sequence[Source], held_back: bool) -> Iterator[bytes]:
    """Evenly spaced documents of every source, more of the sources with more weight."""
    sizes = [sum(path.stat().st_size for path in find_files(source.paths)) * source.weight for source in sources]
    for source, size in zip(sources, sizes, strict=True):
        data = b"".join(read_data(path) for path in find_files(source.paths))
        wanted = TOKENIZER_SAMPLE * size / max(1.0, sum(sizes))
        every = max(1, round(len(data) / max(1.0, wanted)))
        for index, document in enumerate(_documents(data)):
            if index % every == 0 and not (held_back and is_validation(document)):
                yield document


def _tokens(run: Path, kind: str, source: Source, tokenizer: Tokenizer, held: bool | None) -> TokenSource | None:
    """Tokenise one source, or reuse its file. ``held``: only documents held back, only the others, or (None) all."""
    path = run / "tokens" / f"{kind}-{source.name}.bin"
    if not path.exists():
        part = path.with_suffix(".part")
        with part.open("wb") as out:
            for file in find_files(source.paths):
                for document in _documents(read_data(file)):
                    if held is None or is_validation(document) == held:
                        out.write(tokenizer.encode(document).astype(TOKEN_DTYPE).tobytes())
        part.replace(path)
    if path.stat().st_size == 0:
        return None
    tokens = open_tokens(path)
    return TokenSource(source.name, tokens, source.weight * len(tokens))
