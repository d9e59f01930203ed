"""Which coding a block gets, that the model is spared where it cannot win, and that nothing grows."""

import io
import random
import time
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codec.engines import TEXT, byte_engine, codings, compress, decompress
from zipllm.codec import choose as choosing
from zipllm.codec.block.predicted_block import encode_model_block
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.container import Coding, CodingParameters
from zipllm.engine.engine import Engine, LazyEngine
from zipllm.predictor.base import Traits
from zipllm.progress import Advance

NOISE = random.Random(5).randbytes(60_000)
DEFLATED = zlib.compress(random.Random(6).randbytes(40_000) + TEXT * 10, 9)
LOG = b"".join(b"2024-05-%02d INFO request %d served\n" % (day, day * 7919) for day in range(1500))
RECORDS = b"".join(b'{"id": %d, "name": "request", "size": %d, "ok": true}\n' % (n, n * n % 977) for n in range(1500))


def chain(size: int) -> bytes:
    """Symbols that depend on the one before: no repetitions for dictionary codecs, easy for counts of order 1."""
    source = random.Random(11)
    follow = {symbol: source.sample(range(64), 3) for symbol in range(64)}
    symbols = [0]
    while len(symbols) < size:
        symbols.append(source.choice(follow[symbols[-1]]))
    return bytes(symbols)


CHAIN = chain(7000)


class Counting(LazyEngine):
    """Knows how often it was asked for."""

    def __init__(self) -> None:
        super().__init__(byte_engine)
        self.calls = 0

    def __call__(self) -> Engine:
        self.calls += 1
        return super().__call__()


@pytest.fixture
def whole_blocks(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Raw sizes of the blocks that the model was tried on as a whole."""
    sizes: list[int] = []

    def spy(engine: Engine, raw: bytes, parameters: CodingParameters, advance: Advance | None) -> bytes:
        sizes.append(len(raw))
        return encode_model_block(engine, raw, parameters, advance)

    monkeypatch.setattr(choosing, "encode_model_block", spy)
    return sizes


def choose(raw: bytes, engine: LazyEngine | None, **options: Any) -> tuple[Coding, int]:
    """Without history, so that the model stands alone against the conventional codecs."""
    options.setdefault("history_bits", None)
    coding, payload, *_ = choosing.choose(raw, engine, EncodeOptions(**options), 54, None)
    return coding, len(payload)


def test_the_model_takes_what_it_predicts_best(whole_blocks: list[int]) -> None:
    coding, size = choose(CHAIN, Counting())
    assert coding is Coding.MODEL
    assert size < 0.95 * choose(CHAIN, None)[1]
    *samples, whole = whole_blocks  # these bytes also read as UTF-16, which is tried on samples
    assert whole == len(CHAIN)
    assert sum(samples) <= 3 * 8192


@pytest.mark.parametrize("data", [NOISE, DEFLATED], ids=["random", "deflated"])
def test_incompressible_blocks_do_not_load_the_model(data: bytes) -> None:
    engine = Counting()
    assert choose(data, engine)[0] is Coding.STORED
    assert engine.calls == 0


def test_a_sample_spares_the_model(whole_blocks: list[int]) -> None:
    """Larger than SAMPLE_FROM, and nothing for a model that forgets between lanes."""
    engine = Counting()
    coding, _ = choose(LOG, engine)
    assert coding in (Coding.LZMA, Coding.BZ2, Coding.ZSTD)
    assert engine.calls
    assert whole_blocks == []


def test_without_a_sample_it_is_tried(whole_blocks: list[int]) -> None:
    """And the smallest coding is taken all the same."""
    assert choose(LOG[:5000], Counting(), sample=False) == choose(LOG[:5000], None)
    assert choose(NOISE[:5000], Counting(), sample=False)[0] is Coding.STORED
    assert whole_blocks == [5000, 5000]


def test_without_fallback_it_is_taken() -> None:
    assert choose(NOISE[:3000], None, fallback=True)[0] is Coding.STORED
    assert choose(NOISE[:3000], Counting(), fallback=False)[0] is Coding.MODEL


def test_a_model_that_clearly_wins_needs_no_strong_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choosing, "_CLEARLY_WON", 10_000)
    monkeypatch.setattr(choosing, "STRONG", (lambda raw: pytest.fail("asked for"),))
    assert choose(CHAIN, Counting())[0] is Coding.MODEL


def test_the_estimate_is_near_the_truth() -> None:
    data = chain(4000) * 9
    whole = choose(data[:4000], Counting(), fallback=False)[1] * 9
    assert 0.9 * whole < choosing.estimated_size(byte_engine(), data) < 2 * whole


@given(st.binary(max_size=400) | st.sampled_from([TEXT, LOG[:900], chain(700), NOISE[:333]]), st.booleans())
def test_never_larger_than_without_a_model(data: bytes, sample: bool) -> None:
    """The model's record and parameters are counted before it is chosen."""
    with_model = compress(data, fallback=True, sample=sample, verify=False)
    without = len(compress_without_model(data))
    assert len(with_model) <= without


def compress_without_model(data: bytes) -> bytes:
    sink = io.BytesIO()
    compress_stream(io.BytesIO(data), sink, engine=None, options=EncodeOptions(history_bits=None))
    return sink.getvalue()


@pytest.mark.parametrize("sample", [True, False])
@pytest.mark.parametrize("size", [0, 1, 2, 63, 64, 65, 999, 4095, 4096, 4097, 20_000])
def test_random_data_grows_by_a_bounded_amount(size: int, sample: bool) -> None:
    """At most 64 bytes and 16 per block."""
    for block_size in (4096, 1 << 22):
        archive = compress(NOISE[:size], fallback=True, sample=sample, block_size=block_size, verify=False)
        blocks = -(-size // block_size)
        assert len(archive) <= size + 64 + 16 * blocks
        assert len(codings(archive)) == blocks


@given(st.binary(max_size=2000), st.integers(100, 2000))
def test_any_data_grows_by_a_bounded_amount(data: bytes, block_size: int) -> None:
    """At most 64 bytes and 16 per block."""
    archive = compress(data, fallback=True, block_size=block_size, verify=False)
    assert len(archive) <= len(data) + 64 + 16 * -(-len(data) // block_size)


def test_almost_incompressible_data_does_not_grow() -> None:
    """A conventional payload one byte shorter than the block is not worth its larger header."""
    for zeros in range(40):
        data = NOISE[:5000] + bytes(zeros)
        assert len(compress_without_model(data)) <= len(data) + 64 + 16


def test_ten_megabytes_of_noise_cost_little_time() -> None:
    data = random.Random(8).randbytes(10_000_000)
    begin = time.perf_counter()
    archive = compress(data, engine=Counting(), fallback=True)
    assert time.perf_counter() - begin < 2
    assert decompress(archive) == data


def test_history_takes_what_repeats_itself() -> None:
    """Logs: clearly smaller than any conventional codec makes them."""
    coding, size = choose(LOG, None, history_bits=20)
    assert coding is Coding.HISTORY
    assert size < 0.8 * choose(LOG, None)[1]


def test_history_and_model_together(whole_blocks: list[int]) -> None:
    alone = choose(CHAIN, None, history_bits=20)[1]
    coding, size = choose(CHAIN, Counting(), history_bits=20)
    assert size <= alone
    assert whole_blocks
    if coding is Coding.MODEL:
        assert size < choose(CHAIN, Counting())[1]


def test_a_sample_decides_about_the_model(whole_blocks: list[int]) -> None:
    """Counts of order 1 add nothing to a history that has them, too: only the sample was given to the model."""
    coding, _ = choose(LOG, Counting(), history_bits=20)
    assert coding is Coding.HISTORY
    assert whole_blocks == [8192]


def test_zeros_are_left_to_conventional_codecs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Millions of equal bytes are no work for a predictor."""
    monkeypatch.setattr(choosing, "encode_model_block", lambda *arguments: pytest.fail("asked for"))
    coding, size = choose(bytes(4 << 20), Counting(), history_bits=20)
    assert coding in (Coding.ZSTD, Coding.LZMA, Coding.BZ2)
    assert size < 500


def test_records_are_found() -> None:
    table = b"".join(
        n.to_bytes(4, "little") + bytes([n % 7, 1]) + (n * n % 9973).to_bytes(2, "big") for n in range(3000)
    )
    coding, _, parameters, *_ = choosing.choose(table, None, EncodeOptions(), 0, None)
    assert coding is Coding.HISTORY
    assert parameters is not None
    assert parameters.family == 1
    assert parameters.row % 8 == 0


@given(st.binary(max_size=300) | st.sampled_from([TEXT, LOG[:900], NOISE[:333]]), st.booleans())
def test_never_larger_than_without_history(data: bytes, sample: bool) -> None:
    with_history = compress(data, fallback=True, sample=sample, verify=False, history_bits=16)
    assert len(with_history) <= len(compress(data, fallback=True, sample=sample, verify=False))


def test_a_sample_that_misleads_costs_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sample says that the model helps; the whole block, from which the history has learned more, says no."""
    block = LOG[: choosing.SAMPLE_FROM + 5000]
    alone = choosing.choose(block, None, EncodeOptions(), 0, None)
    monkeypatch.setattr(choosing, "model_helps", lambda *_arguments: True)
    monkeypatch.setattr(
        choosing, "_with_model", lambda raw, *_rest: choosing.Choice(Coding.MODEL, raw[: 2 * alone.size])
    )
    chosen = choosing.choose(block, LazyEngine(byte_engine), EncodeOptions(), 0, None)
    assert chosen == alone
    monkeypatch.setattr(
        choosing, "_with_model", lambda raw, *_rest: choosing.Choice(Coding.MODEL, raw[: alone.size // 2])
    )
    assert choosing.choose(block, LazyEngine(byte_engine), EncodeOptions(), 0, None).coding is Coding.MODEL


@pytest.mark.parametrize(
    ("data", "wanted", "costly", "lanes"),
    [
        (RECORDS, None, False, 1),
        (chain(70_000), None, False, None),
        (RECORDS, 8, False, 8),
        (RECORDS, None, True, None),
    ],
)
def test_what_repeats_itself_across_lanes_gets_one(
    data: bytes, wanted: int | None, costly: bool, lanes: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless the user asks for lanes, or a step of one costs what a step of many does; ``None``: by the size."""
    asked: list[EncodeOptions] = []

    def coded(raw: bytes, engine: Engine, style: object, options: EncodeOptions, advance: object) -> choosing.Choice:
        asked.append(options)
        return choosing.Choice(Coding.STORED, raw)

    monkeypatch.setattr(choosing, "model_helps", lambda *_: True)
    monkeypatch.setattr(choosing, "_with_model", coded)
    monkeypatch.setattr(type(byte_engine().predictor), "traits", Traits(costly_steps=costly), raising=False)
    choosing.choose(data, LazyEngine(byte_engine), EncodeOptions(lanes=wanted, history_bits=16), 0, None)
    assert asked[-1].lanes == lanes
