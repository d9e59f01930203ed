"""A decoder that is told what should come out says yes to that alone, and asks the model as it should."""

import io
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.codec.block.test_selected_columns import Selecting
from tests.codec.engines import TEXT, compress, decompress, named
from tests.kernels.models import random_model
from tests.model.conftest import shaped
from zipllm.codec import block_encoding
from zipllm.codec.block import lane_groups, predicted_block
from zipllm.codec.block.predicted_block import check_with_draft, decode_model_block, encode_model_block
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.coder.range_coder import PROBABILITY_BITS
from zipllm.container import CodingParameters
from zipllm.container.block import FULL_MIXER
from zipllm.engine.engine import Engine
from zipllm.errors import CorruptData, UnsupportedData, VerificationFailed, ZipllmError
from zipllm.jit.compiled import COMPILES
from zipllm.model_file.card import Card
from zipllm.model_file.file import build_model
from zipllm.predictor.base import Traits
from zipllm.predictor.model import ModelPredictor
from zipllm.predictor.ngram import NgramPredictor
from zipllm.tokenizer.bpe import train_bpe
from zipllm.tokenizer.byte import ByteTokenizer

TOKENIZER = train_bpe([TEXT], 320)
STATIC = CodingParameters(3, PROBABILITY_BITS, precision=24)
ADAPTIVE = CodingParameters(3, PROBABILITY_BITS, precision=24, mixer=FULL_MIXER, history=14)


class Exact(NgramPredictor):
    """Says that passes give what steps give; remembers how it was asked, and lies at one place if it is to."""

    def __init__(self, wrong: tuple[str, int] | None = None) -> None:
        super().__init__(TOKENIZER.vocabulary)
        self.asked: list[str] = []
        self._wrong = wrong

    def predict(self, state: Any, tokens: NDArray[np.int32], *rest: Any, **options: Any) -> NDArray[np.int32]:
        how = "step" if tokens.shape[1] == 1 else "pass"
        return self._told(how, super().predict(state, tokens, *rest, **options))

    def _told(self, how: str, cumulative: NDArray[np.int32]) -> NDArray[np.int32]:
        if self._wrong == (how, self.asked.count(how)):
            cumulative = np.array(cumulative)
            cumulative[0, -1, 1:-1] += 1
        self.asked.append(how)
        return cumulative


class Inexact(NgramPredictor):
    traits = Traits(exact=False)


class Both(Selecting):
    traits = Traits(selects=True)


@pytest.fixture(autouse=True)
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Texts here are short: so are chunks, and what is asked for step by step."""
    monkeypatch.setattr(lane_groups, "MAX_CHUNK_STEPS", 7)
    monkeypatch.setattr(predicted_block, "SINGLE_STEPS", 5)


def engine_of(predictor: NgramPredictor) -> Engine:
    return Engine(named("exact"), TOKENIZER, predictor)


def says_no(engine: Engine, payload: bytes, text: bytes, parameters: CodingParameters) -> bool:
    try:
        check_with_draft(engine, payload, text, parameters, None)
    except ZipllmError:
        return True
    return False


@pytest.mark.parametrize("predictor", [Exact, Both])
@pytest.mark.parametrize("parameters", [STATIC, ADAPTIVE], ids=["static", "adaptive"])
@pytest.mark.parametrize("text", [TEXT, TEXT[:200], TEXT[:20], b"abc"], ids=len)
def test_it_agrees_with_the_decoder(text: bytes, parameters: CodingParameters, predictor: type) -> None:
    engine, told = engine_of(predictor()), []
    payload = encode_model_block(engine, text, parameters, None)
    check_with_draft(engine, payload, text, parameters, lambda done, _coded: told.append(done))
    assert told == sorted(told)
    assert told[-1] == 1
    assert decode_model_block(engine, payload, len(text), parameters, None) == text


@pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")
@pytest.mark.parametrize("count", ["1", "2"])
@pytest.mark.parametrize("parameters", [STATIC, ADAPTIVE], ids=["static", "adaptive"])
def test_a_transformer_of_compiled_kernels(
    parameters: CodingParameters, count: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One thread, and two that hand over columns: the same words, found right by both; damaged ones are found wrong."""
    monkeypatch.setenv("ZIPLLM_KERNELS", "reference")
    config = shaped(vocabulary_size=256)
    model = build_model(config, ByteTokenizer(), random_model(config, 5), Card("tiny"))
    reference = Engine(named("tiny"), ByteTokenizer(), ModelPredictor(model))
    payload = encode_model_block(reference, TEXT, parameters, None)
    monkeypatch.setenv("ZIPLLM_KERNELS", "cpu")
    monkeypatch.setenv("OMP_NUM_THREADS", count)
    compiled = Engine(named("tiny"), ByteTokenizer(), ModelPredictor(model))
    assert encode_model_block(compiled, TEXT, parameters, None) == payload
    for engine in (reference, compiled):
        check_with_draft(engine, payload, TEXT, parameters, None)
    for place in range(0, len(payload), 5):
        assert says_no(compiled, payload[:place] + bytes([payload[place] ^ 4]) + payload[place + 1 :], TEXT, parameters)


@pytest.mark.parametrize("predictor", [Exact, Both])
@pytest.mark.parametrize("parameters", [STATIC, ADAPTIVE], ids=["static", "adaptive"])
def test_it_says_no_to_every_other_payload_and_draft(parameters: CodingParameters, predictor: type) -> None:
    engine, text = engine_of(predictor()), TEXT[:100]
    payload = encode_model_block(engine, text, parameters, None)
    for bit in range(8 * len(payload)):
        changed = bytearray(payload)
        changed[bit // 8] ^= 1 << bit % 8
        assert says_no(engine, bytes(changed), text, parameters), bit
    for damaged in (b"", payload[:-4], payload[:-1], payload[4:], payload + bytes(4), payload + payload[-4:]):
        assert says_no(engine, damaged, text, parameters)
    for place in range(len(text)):
        assert says_no(engine, payload, text[:place] + b"#" + text[place + 1 :], parameters), place
    assert says_no(engine, payload, text[:-1], parameters)
    assert says_no(engine, payload, text + b".", parameters)


def test_the_first_tokens_are_asked_for_one_by_one() -> None:
    predictor = Exact()
    engine = engine_of(predictor)
    payload = encode_model_block(engine, TEXT, STATIC, None)
    predictor.asked.clear()
    check_with_draft(engine, payload, TEXT, STATIC, None)
    assert predictor.asked[:5] == ["step"] * 5
    assert set(predictor.asked[5:]) == {"pass"}
    assert len(predictor.asked) < 5 + max(map(len, TOKENIZER.encode_all([TEXT]))) // 7


@pytest.mark.parametrize("wrong", [("step", 0), ("step", 4), ("pass", 0), ("pass", 3)])
def test_a_predictor_that_is_not_what_it_says(wrong: tuple[str, int]) -> None:
    """Single steps that go wrong, and passes that are not always the same, are found out."""
    payload = encode_model_block(engine_of(Exact()), TEXT, STATIC, None)
    check_with_draft(engine_of(Exact()), payload, TEXT, STATIC, None)
    with pytest.raises(CorruptData):
        check_with_draft(engine_of(Exact(wrong)), payload, TEXT, STATIC, None)


def test_another_precision_is_refused() -> None:
    engine = engine_of(Exact())
    with pytest.raises(UnsupportedData, match="precision"):
        check_with_draft(engine, b"", TEXT, replace(STATIC, precision=20), None)


def test_a_tokenizer_that_loses_something_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(Exact())
    payload = encode_model_block(engine, TEXT, STATIC, None)
    right = TOKENIZER.decode
    monkeypatch.setattr(type(TOKENIZER), "decode", lambda self, ids: right(ids).lower())
    with pytest.raises(CorruptData, match="tokens of the original"):
        check_with_draft(engine, payload, TEXT, STATIC, None)


@pytest.mark.parametrize("history_bits", [None, 14])
def test_verification_of_an_exact_model_has_a_draft(history_bits: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """And that of any other is what decompresses."""
    monkeypatch.setattr(block_encoding, "decode_block", lambda *_: pytest.fail("decoded step by step"))
    archive = compress(TEXT, engine_of(Exact()), history_bits=history_bits)
    assert decompress(archive, engine_of(NgramPredictor(TOKENIZER.vocabulary))) == TEXT
    monkeypatch.undo()
    monkeypatch.setattr(block_encoding, "check_with_draft", lambda *_: pytest.fail("decoded with a draft"))
    assert compress(TEXT, engine_of(Inexact(TOKENIZER.vocabulary)), history_bits=history_bits) == archive


@pytest.mark.parametrize("history_bits", [None, 14])
def test_a_wrong_payload_is_not_written(history_bits: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*arguments: Any) -> bytes:
        payload = bytearray(encode_model_block(*arguments))
        payload[len(payload) // 2] ^= 1
        return bytes(payload)

    monkeypatch.setattr("zipllm.codec.choose.encode_model_block", broken)
    options = EncodeOptions(fallback=False, history_bits=history_bits)
    with pytest.raises(VerificationFailed, match="model block"):
        compress_stream(io.BytesIO(TEXT), io.BytesIO(), engine=engine_of(Exact()), options=options)


def test_what_is_selected_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """Behind the single steps only columns are asked for; one that is wrong is found out."""
    payload = encode_model_block(engine_of(Both()), TEXT, STATIC, None)
    right = Both.predict

    def wrong(self: Both, *arguments: Any, **options: Any) -> NDArray[np.int32]:
        found = right(self, *arguments, **options)
        if len(self.tables) == 1:
            found[0, 0, 0] += 1
        return found

    monkeypatch.setattr(Both, "predict", wrong)
    with pytest.raises(CorruptData):
        check_with_draft(engine_of(Both()), payload, TEXT, STATIC, None)
