"""Bytes to token ids and back. Every tokenizer here is lossless for every byte string.

base         what every tokenizer promises
byte         one token per byte
bpe          byte-level byte-pair encoding
token_bytes  the bytes behind each token of a foreign tokenizer
"""

from zipllm.tokenizer.base import Tokenizer
from zipllm.tokenizer.bpe import BpeTokenizer, train_bpe
from zipllm.tokenizer.byte import ByteTokenizer

__all__ = ["BpeTokenizer", "ByteTokenizer", "Tokenizer", "tokenizer_from_dict", "train_bpe"]


def tokenizer_from_dict(description: object) -> Tokenizer:
    """Restore a tokenizer from ``to_dict`` output, which may come from a hostile file.

    Raises:
        ValueError: unknown type, or fields that do not describe a lossless tokenizer.
    """
    if not isinstance(description, dict):
        raise ValueError("tokenizer description is not an object")
    kind = description.get("type")
    if kind == ByteTokenizer.name:
        return ByteTokenizer.from_dict(description)
    if kind == BpeTokenizer.name:
        return BpeTokenizer.from_dict(description)
    raise ValueError(f"unknown tokenizer type {kind!r} (known: byte, bpe)")
