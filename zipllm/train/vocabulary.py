"""The tokenizer of a run: learned from a sample of its data, or taken from a model or a file."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from zipllm.errors import FileError, ModelInvalid, UsageError
from zipllm.model_file.canonical_json import load_json
from zipllm.model_file.limits import MAX_TOKENIZER_BYTES, MAX_TOKENIZER_DEPTH
from zipllm.temporary import replacing
from zipllm.tokenizer import ByteTokenizer, Tokenizer, tokenizer_from_dict, train_bpe
from zipllm.train.token_files import SourceData

TOKENIZER_SAMPLE = 32_000_000
"""Bytes of training text the vocabulary is learned from, spread over all sources."""


def load_tokenizer(query: str | os.PathLike[str]) -> Tokenizer:
    """Return the tokenizer in a ``.json`` file of a run, or of a model: its name, id or path.

    Raises:
        FileError: the JSON file cannot be read, or is no tokenizer of zipllm.
        ModelError: there is no such model, or it is damaged.
    """
    if os.fspath(query).endswith(".json"):
        return read_tokenizer(Path(query))
    from zipllm.model_file.store import ModelStore

    return ModelStore.default().load(query).tokenizer


def read_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer's JSON file. Raises ``FileError``."""
    try:
        with path.open("rb") as file:
            text = file.read(MAX_TOKENIZER_BYTES + 1)
        description: Any = load_json(
            text, what="tokenizer", max_bytes=MAX_TOKENIZER_BYTES, max_depth=MAX_TOKENIZER_DEPTH
        )
        return tokenizer_from_dict(description)
    except OSError as error:
        raise FileError(f"{path}: {error.strerror or error}") from error
    except (ValueError, ModelInvalid) as error:
        raise FileError(f"{path} is not a tokenizer: {error}") from error


def write_tokenizer(tokenizer: Tokenizer, path: Path) -> None:
    """Write a tokenizer's JSON file in one step. Raises ``OSError``."""
    with replacing(path) as (sink, _):
        sink.write(json.dumps(tokenizer.to_dict()).encode())


def learn_tokenizer(sources: Sequence[SourceData], size: int) -> Tokenizer:
    """Learn a vocabulary from the documents that are not held back; little data gives a smaller one.

    Raises:
        UsageError: the size is out of range.
    """
    if size == len(ByteTokenizer.vocabulary):
        return ByteTokenizer()
    try:
        return train_bpe(_sample(sources), size)
    except ValueError as error:
        raise UsageError(str(error)) from error


def _sample(sources: Sequence[SourceData]) -> Iterator[bytes]:
    """Evenly spaced documents of every source, more of the sources with more weight."""
    total = sum(source.size * source.weight for source in sources)
    for source in sources:
        wanted = TOKENIZER_SAMPLE * source.size * source.weight / max(1.0, total)
        every = max(1, round(source.size / max(1.0, wanted)))
        for index, (document, held) in enumerate(source.documents()):
            if index % every == 0 and not held:
                yield document
