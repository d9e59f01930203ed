"""Bytes to token ids and back. Every tokenizer here is lossless for every byte string.

base         what every tokenizer promises
byte         one token per byte
bpe          byte-level byte-pair encoding, for models that zipllm trains
byte_level   the same as open models have it, over words of Unicode text
pieces       SentencePiece's byte-pair encoding, of Llama 2 and Mistral
patterns     how open models split text into words
merges       merges as pairs of ids, and how files store them
text         text to the library, invalid UTF-8 byte by byte
library      the tokenizers library and its threads
token_bytes  the bytes behind each token of a foreign tokenizer
"""

from typing import Any

from zipllm.tokenizer.base import Tokenizer
from zipllm.tokenizer.bpe import BpeTokenizer, train_bpe
from zipllm.tokenizer.byte import ByteTokenizer
from zipllm.tokenizer.byte_level import ByteLevelTokenizer
from zipllm.tokenizer.pieces import PiecesTokenizer

__all__ = [
    "BpeTokenizer",
    "ByteLevelTokenizer",
    "ByteTokenizer",
    "PiecesTokenizer",
    "Tokenizer",
    "tokenizer_from_dict",
    "train_bpe",
]

_KINDS: tuple[Any, ...] = (ByteTokenizer, BpeTokenizer, ByteLevelTokenizer, PiecesTokenizer)


def tokenizer_from_dict(description: object) -> Tokenizer:
    """Restore a tokenizer from ``to_dict`` output, which may come from a hostile file.

    Raises:
        ValueError: unknown type, or fields that do not describe a lossless tokenizer.
    """
    if not isinstance(description, dict):
        raise ValueError("tokenizer description is not an object")
    found = [kind for kind in _KINDS if kind.name == description.get("type")]
    if not found:
        known = ", ".join(kind.name for kind in _KINDS)
        raise ValueError(f"unknown tokenizer type {description.get('type')!r} (known: {known})")
    restored: Tokenizer = found[0].from_dict(description)
    return restored
