"""Restores a tokenizer from its description in a model file."""

from zipllm.tokenizer.base import Tokenizer
from zipllm.tokenizer.bpe import BpeTokenizer
from zipllm.tokenizer.byte import ByteTokenizer


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
