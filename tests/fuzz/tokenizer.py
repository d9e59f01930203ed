"""Tokenizers: what a file may describe is lossless or refused, what is trained is lossless."""

import base64
import json
from collections.abc import Iterator
from typing import Any

from tests.fuzz.feed import Feed
from zipllm.tokenizer import BpeTokenizer, Tokenizer, tokenizer_from_dict, train_bpe
from zipllm.tokenizer.bpe import PATTERN_NAME
from zipllm.tokenizer.merges import pack
from zipllm.tokenizer.patterns import PATTERNS


def run(data: bytes) -> None:
    """Any JSON, any merges, training on the bytes themselves, or a tokenizer of an open model."""
    feed = Feed(data)
    match feed.below(5):
        case 0:
            described, sample = feed.take(feed.number(2)), feed.rest()
            _described(_json(described), sample)
        case 1:
            words, sample = feed.take(4 * feed.number()), feed.rest()
            text = base64.b64encode(words).decode()
            _described({"type": BpeTokenizer.name, "pattern": PATTERN_NAME, "merges": text}, sample)
        case 2:
            size, sample = 256 + feed.number(), feed.rest()
            trained = train_bpe([sample], size)
            _lossless(trained, sample)
            assert tokenizer_from_dict(trained.to_dict()).vocabulary == trained.vocabulary
        case 3:
            merges, ranks = [(feed.number(2), feed.number(2)) for _ in range(feed.below(20))], feed.take(feed.below(8))
            pattern, whole = feed.choice([*PATTERNS, "none"]), feed.below(2) == 1
            fields = {"merges": pack(merges), "ranks": pack(list(ranks))}
            _described({"type": "byte-level", "pattern": pattern, "whole_words": whole, **fields}, feed.rest())
        case 4:
            merges, ranks = [(feed.number(2), feed.number(2)) for _ in range(feed.below(20))], feed.take(feed.below(8))
            characters = base64.b64encode(feed.piece()).decode()
            fields = {"merges": pack(merges), "ranks": pack(list(ranks)), "characters": characters}
            _described({"type": "pieces", **fields}, feed.rest())


def _json(text: bytes) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text.decode("latin-1")


def _described(description: Any, sample: bytes) -> None:
    try:
        tokenizer = tokenizer_from_dict(description)
    except ValueError:
        return
    _lossless(tokenizer, sample)


def _lossless(tokenizer: Tokenizer, sample: bytes) -> None:
    assert list(tokenizer.vocabulary) == sorted(set(tokenizer.vocabulary))
    for data in (sample, bytes(range(256)), sample[::-1]):
        assert tokenizer.decode(tokenizer.encode(data)) == data


def seeds() -> Iterator[bytes]:
    """Each way, with text in several scripts and bytes that are none."""
    texts = [
        "the cat sat on the mat. " * 4,
        "学而时习之，不亦说乎？" * 3,
        "naïve café — 42,000.5\r\n\t",
        "\ufeff\x00\x7f",
    ]
    for text in [*(text.encode() for text in texts), bytes(range(256)), b"\xff\xfe\xc3\x28\xf0\x9f" * 5]:
        yield b"\2\x20" + text
        merges = b"".join(map(bytes, ([97, 0, 98, 0], [32, 0, 97, 0], [1, 1, 99, 0])))
        yield b"\3\3" + merges + b"\0\2\0" + text
        yield b"\4\3" + merges + b"\0\2\xc3\xa9" + text
        yield b"\1\4" + bytes([97, 0, 98, 0, 0, 1, 99, 0, 104, 0, 101, 0, 32, 0, 116, 0]) + text
    for description in ({"type": "byte"}, {"type": "bpe", "pattern": PATTERN_NAME, "merges": "YQBiAA=="}):
        text = json.dumps(description).encode()
        yield b"\0" + len(text).to_bytes(2, "little") + text + b"sample ab ab"
