"""Whatever goes in comes out, whatever coding, tokenizer, lanes and block size."""

import io
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codec.engines import TEXT, bpe_engine, byte_engine, codings, compress, decompress
from zipllm.codec.block import setup
from zipllm.container import ArchiveReader, Block, Coding
from zipllm.engine.engine import Engine

ENGINES = [pytest.param(byte_engine, id="byte"), pytest.param(bpe_engine, id="bpe")]


def de_bruijn(symbols: int, order: int) -> bytes:
    """Every word of ``order`` symbols once (Lyndon words, Fredricksen and Maiorana 1978)."""
    sequence, word = bytearray(), [0]
    while word:
        if order % len(word) == 0:
            sequence += bytes(word)
        word = (word * order)[:order]
        while word and word[-1] == symbols - 1:
            word.pop()
        if word:
            word[-1] += 1
    return bytes(sequence)


DATA = {
    "empty": b"",
    "one byte": b"\xff",
    "one zero": b"\x00",
    "all bytes": bytes(range(256)),
    "text": TEXT,
    "utf-16": TEXT[:300].decode().encode("utf-16"),
    "chinese utf-8": "天下大势,分久必合,合久必分。话说".encode() * 9,
    "gb18030": "天下大势,分久必合,合久必分。话说".encode("gb18030") * 9,
    "lone surrogates": "a\ud800b\udfffc".encode("utf-8", "surrogatepass") * 20,
    "cut utf-8": "é漢😀".encode()[1:-1] * 20,
    "random": random.Random(1).randbytes(700),
    "zeros": bytes(1500),
    "de bruijn": de_bruijn(4, 5),
    "line ends": b"\r\n\n\r\x1a\x00" * 80,
    "an archive": compress(TEXT[:200]),
}


def test_de_bruijn_is_one() -> None:
    sequence = de_bruijn(4, 5)
    around = sequence + sequence[:4]
    assert len({around[i : i + 5] for i in range(4**5)}) == len(sequence) == 4**5


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", DATA)
def test_by_the_model(name: str, engine: Callable[[], Engine]) -> None:
    archive = compress(DATA[name], engine())
    assert set(codings(archive)) <= {Coding.MODEL}
    assert decompress(archive, engine()) == DATA[name]


@pytest.mark.parametrize("name", DATA)
def test_by_the_smallest_coding(name: str) -> None:
    archive = compress(DATA[name], fallback=True)
    assert decompress(archive) == DATA[name]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("change", [-1, 0, 1])
@pytest.mark.parametrize("lanes", [1, 2, 5])
def test_one_byte_off_every_edge(change: int, lanes: int, engine: Callable[[], Engine]) -> None:
    """Sizes next to a block's edge; lanes of 50 // 5 bytes and their neighbors."""
    data = (TEXT * 2)[: 50 + change], (TEXT * 2)[: 150 + change], (TEXT * 2)[: lanes + change]
    for size in (50, 49, 51):
        for part in data:
            assert decompress(compress(part, engine(), block_size=size, lanes=lanes), engine()) == part


@given(st.binary(max_size=120), st.integers(1, 70), st.integers(1, 40))
def test_any_bytes_lanes_and_blocks(data: bytes, lanes: int, block_size: int) -> None:
    """Any bytes, lanes and blocks."""
    assert decompress(compress(data, lanes=lanes, block_size=block_size)) == data


@given(
    st.lists(st.sampled_from([b"the ", b"man", b"\x00", "势".encode(), b" of such a "]), max_size=40), st.integers(1, 9)
)
def test_any_tokens_in_any_lanes(words: list[bytes], lanes: int) -> None:
    """Lanes cut tokens anywhere."""
    data = b"".join(words)
    assert decompress(compress(data, bpe_engine(), lanes=lanes), bpe_engine()) == data


@given(st.binary(max_size=100), st.booleans())
def test_any_bytes_by_any_coding(data: bytes, sample: bool) -> None:
    """Fallback on."""
    assert decompress(compress(data * 3, fallback=True, sample=sample)) == data * 3


def test_concatenated_archives_are_one_content() -> None:
    first, second = compress(TEXT[:70]), compress(b"", fallback=True)
    third = compress(TEXT[70:], bpe_engine())
    engines = {engine.model_id: engine for engine in (byte_engine(), bpe_engine())}
    assert decompress(first + second + third, engines=engines.__getitem__) == TEXT


def test_more_lanes_than_bytes_are_not_made() -> None:
    assert decompress(compress(b"abc", lanes=64)) == b"abc"


def test_default_lanes_of_a_large_block(monkeypatch: pytest.MonkeyPatch) -> None:
    """Five lanes of one block, each with its own start and end, decode from one coder."""
    monkeypatch.setattr(setup, "LANE_BYTES", 64)
    archive = compress(TEXT[:350])
    (block,) = [record for record in ArchiveReader(io.BytesIO(archive)) if isinstance(record, Block)]
    assert block.header.parameters is not None
    assert block.header.parameters.lanes == 5
    assert decompress(archive) == TEXT[:350]
