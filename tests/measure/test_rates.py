"""The cost of data under a model is what its archive takes, in the same blocks and lanes."""

import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tests.codec.engines import TEXT, bpe_engine, byte_engine, compress, engine_with
from tests.model_file.conftest import CARD, CONFIG, random_integer_model
from zipllm.codec.options import EncodeOptions
from zipllm.container import BlockHeader, scan
from zipllm.engine.engine import Engine, engine_from_model
from zipllm.errors import LimitExceeded
from zipllm.measure.rates import Evaluation, archive_summary, evaluate_stream, total
from zipllm.model.gap import integer_bits
from zipllm.model.transformer.integer import IntegerTransformer
from zipllm.model_file.file import build_model
from zipllm.predictor.base import PRECISION
from zipllm.predictor.ngram import NgramPredictor
from zipllm.progress import Progress
from zipllm.tokenizer.byte import ByteTokenizer

NOTHING = Evaluation(0, 0, 0, True, 0, 0, 0, 0.0)


class Uniform(NgramPredictor):
    """Every byte costs eight bits."""

    def predict(self, state: Any, tokens: Any, lanes: Any, **options: Any) -> Any:
        row = np.arange(257, dtype=np.int32) << (PRECISION - 8)
        return np.broadcast_to(row, (*tokens.shape, 257)).copy()


class Short(Uniform):
    """Frequencies that sum to half of what they should: everything seems to cost a bit less."""

    def predict(self, state: Any, tokens: Any, lanes: Any, **options: Any) -> Any:
        return super().predict(state, tokens, lanes, **options) // 2


def evaluate(data: bytes, engine: Engine, **options: Any) -> Evaluation:
    return evaluate_stream(io.BytesIO(data), engine, EncodeOptions(**options))


def blocks(archive: bytes) -> list[BlockHeader]:
    return [item.record for item in scan(io.BytesIO(archive)) if isinstance(item.record, BlockHeader)]


@pytest.mark.parametrize("engine", [byte_engine, bpe_engine])
@pytest.mark.parametrize("data", [TEXT * 8, bytes(range(256)) * 8, b"\xe5\xad\xa6" * 700], ids=["text", "all", "bad"])
@pytest.mark.parametrize(("lanes", "block_size"), [(None, 16 << 20), (1, 1500), (7, 1000)])
def test_it_is_the_payload_of_the_archive(
    engine: Callable[[], Engine], data: bytes, lanes: int | None, block_size: int
) -> None:
    found = evaluate(data, engine(), lanes=lanes, block_size=block_size)
    archive = compress(data, engine(), lanes=lanes, block_size=block_size, verify=False)
    headers = blocks(archive)
    payload = sum(header.payload_size for header in headers)
    assert abs(payload - found.bits / 8) < 0.002 * payload + 8 * len(headers)
    assert 0 < len(archive) - payload < 120 + 20 * len(headers), "the rest of the archive is headers"
    assert (found.raw_bytes, found.blocks) == (len(data), len(headers))
    assert found.lanes == sum(header.parameters.lanes for header in headers if header.parameters)


def test_lanes_by_size_are_those_of_the_archive() -> None:
    engine, data = engine_with(Uniform(ByteTokenizer().vocabulary)), bytes(200_000)
    for most in (64, 8):
        archive = compress(data, engine, max_lanes=most, verify=False)
        found = evaluate(data, engine, max_lanes=most)
        assert [header.parameters and header.parameters.lanes for header in blocks(archive)] == [found.lanes]


def test_every_byte_of_a_uniform_model_costs_eight_bits() -> None:
    text = "学而时习之 不亦说乎".encode()
    found = evaluate(text, engine_with(Uniform(ByteTokenizer().vocabulary)), lanes=3)
    assert (found.raw_bytes, found.tokens, found.characters, found.words, found.lanes) == (28, 28, 10, 2, 3)
    assert found.bits == 8 * 28
    assert found.bits_per_token == found.bits_per_byte == 8
    assert found.nats_per_token == pytest.approx(math.log(256))
    assert found.bits_per_character == pytest.approx(22.4)
    assert found.perplexity == found.byte_perplexity == 256
    assert found.word_perplexity == 2.0**112


def test_it_is_what_the_integer_model_says_of_one_lane() -> None:
    integer = random_integer_model()
    model = build_model(CONFIG, ByteTokenizer(), integer, CARD)
    found = evaluate(TEXT, engine_from_model(model), lanes=1)
    ids = torch.from_numpy(np.frombuffer(TEXT, dtype=np.uint8).astype(np.int64))[None]
    expected = integer_bits(IntegerTransformer(integer), ids, integer.config.start_token)
    assert found.bits == pytest.approx(expected, rel=1e-12)


def test_frequencies_that_do_not_sum_to_their_precision_are_no_result() -> None:
    with pytest.raises(ValueError, match="do not sum"):
        evaluate(TEXT, engine_with(Short(ByteTokenizer().vocabulary)))


def test_nothing() -> None:
    found = evaluate(b"", byte_engine())
    assert found == NOTHING == total([])
    rates = "nats_per_token bits_per_token bits_per_byte bits_per_character perplexity byte_perplexity word_perplexity"
    assert [getattr(found, name) for name in rates.split()] == [None] * 7


def test_white_space_has_no_words_and_one_long_word_no_finite_perplexity() -> None:
    engine = engine_with(Uniform(ByteTokenizer().vocabulary))
    assert evaluate(b" \n", engine).word_perplexity is None
    assert evaluate(b"x" * 127, engine).word_perplexity == 2.0**1016
    assert evaluate(b"x" * 128, engine).word_perplexity is None


def test_words_and_characters_lie_across_blocks() -> None:
    engine = engine_with(Uniform(ByteTokenizer().vocabulary))
    text = "né à ".encode() * 40
    found = evaluate(text, engine, block_size=3)
    assert (found.characters, found.words, found.valid_utf8) == (200, 80, True)


def test_the_total_weighs_by_size() -> None:
    parts = [evaluate(TEXT, byte_engine()), NOTHING, evaluate(b"\xff" * 10, byte_engine())]
    found = total(parts)
    assert found.bits == pytest.approx(parts[0].bits + parts[2].bits)
    assert found.bits_per_byte == pytest.approx(found.bits / (len(TEXT) + 10))
    assert (found.tokens, found.blocks, found.valid_utf8) == (len(TEXT) + 10, 2, False)


def test_progress_rises_to_the_end() -> None:
    steps: list[Progress] = []
    evaluate_stream(io.BytesIO(TEXT * 3), byte_engine(), EncodeOptions(block_size=500), steps.append)
    done = [step.done for step in steps]
    assert done == sorted(done)
    assert done[-1] == steps[-1].raw_bytes == len(TEXT) * 3


def test_too_many_lanes_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zipllm.codec.block.setup.MAX_STATE_BYTES", 10_000)
    with pytest.raises(LimitExceeded):
        evaluate(TEXT, byte_engine(), lanes=64)


def test_the_summary_is_of_the_archive() -> None:
    options = EncodeOptions(fallback=False, lanes=2)
    summary = archive_summary(io.BytesIO(TEXT), byte_engine(), options)
    assert summary.coded_bytes == len(compress(TEXT, lanes=2, history_bits=options.history_bits))
    assert summary.raw_bytes == len(TEXT)
