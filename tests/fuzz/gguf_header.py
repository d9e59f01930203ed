"""Headers of GGUF files: any bytes end in ``ModelInvalid``, or in tensors that lie apart inside of the file."""

import io
import struct
from collections.abc import Iterator
from itertools import pairwise

from tests.foreign.gguf_bytes import ARRAY, TEXT, U32, array, field, file, tensor, text
from tests.fuzz.feed import Feed
from zipllm.errors import ModelInvalid
from zipllm.foreign.gguf_header import read_gguf_header
from zipllm.foreign.tokenizers import gguf_tokenizer


def run(data: bytes) -> None:
    """The bytes as a file, or as what follows a good beginning."""
    feed = Feed(data)
    if feed.below(2):
        counts = feed.below(4), feed.below(4)
        _read(b"GGUF" + struct.pack("<IQQ", 3, *counts) + feed.rest())
    else:
        _read(feed.rest())


def _read(data: bytes) -> None:
    try:
        header = read_gguf_header(io.BytesIO(data), len(data))
    except ModelInvalid:
        return
    placed = sorted((tensor.begin, tensor.begin + tensor.size) for tensor in header.tensors.values())
    assert all(0 < begin < end <= len(data) for begin, end in placed)
    assert all(left[1] <= right[0] for left, right in pairwise(placed))
    try:
        foreign = gguf_tokenizer(header.fields)
    except ModelInvalid:
        return
    assert foreign.tokenizer.decode(foreign.tokenizer.encode(data)) == data


def seeds() -> Iterator[bytes]:
    """A file with fields of each kind, one with a tokenizer, and their parts."""
    number = field(b"general.alignment", U32, struct.pack("<I", 32))
    tokens = array(TEXT, 3, text(b"a") + text(b"b") + text(b"ab"))
    words = [
        field(b"tokenizer.ggml.model", TEXT, text(b"gpt2")),
        field(b"tokenizer.ggml.tokens", ARRAY, tokens),
        field(b"tokenizer.ggml.merges", ARRAY, array(TEXT, 1, text(b"a b"))),
    ]
    tensors = [tensor(b"t", (4, 2)), tensor(b"u", (32,), 8, 32)]
    for good in (file([number], tensors, 66), file(words, [], 32), file([], [tensor(b"t", (4,))], 16)):
        yield b"\0" + good
        yield b"\1" + bytes([good[8], good[16]]) + good[24:]
