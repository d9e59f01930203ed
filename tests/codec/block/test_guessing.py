"""A decoder that guesses gives what one gives that does not, whatever it guesses."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.codec.engines import TEXT, named
from tests.kernels.models import random_model
from tests.model.conftest import shaped
from zipllm.codec.block import decoded_lanes
from zipllm.codec.block.guessing import MOST_GUESSES, MOST_LANES, Guesser
from zipllm.codec.block.predicted_block import decode_model_block, encode_model_block
from zipllm.coder.range_coder import PROBABILITY_BITS
from zipllm.container import CodingParameters
from zipllm.container.block import FULL_MIXER
from zipllm.engine.engine import Engine
from zipllm.errors import CorruptData
from zipllm.jit.compiled import COMPILES
from zipllm.model.config import MOST_REWOUND
from zipllm.model_file.card import Card
from zipllm.model_file.file import build_model
from zipllm.predictor.model import ModelPredictor
from zipllm.predictor.ngram import NgramPredictor
from zipllm.tokenizer.bpe import train_bpe
from zipllm.tokenizer.byte import ByteTokenizer

TOKENIZER = train_bpe([TEXT], 320)
RECORDS = b"".join(b'{"id": %d, "name": "a truth", "fortune": %d}\n' % (n, n * n % 7) for n in range(16))
STATIC = CodingParameters(1, PROBABILITY_BITS, precision=24)
ADAPTIVE = CodingParameters(1, PROBABILITY_BITS, precision=24, mixer=FULL_MIXER, history=14)
KINDS = pytest.mark.parametrize("parameters", [STATIC, ADAPTIVE], ids=["static", "adaptive"])


class Counting(NgramPredictor):
    """Counts its calls; takes tokens back by reading all others again."""

    def __init__(self) -> None:
        super().__init__(TOKENIZER.vocabulary)
        self.calls = 0

    def start(self, lanes: int) -> Any:
        return [[lane, []] for lane in super().start(lanes)]

    def predict(self, state: Any, tokens: NDArray[np.int32], lanes: NDArray[np.int32], **how: Any) -> Any:
        self.calls += 1
        for row, lane in zip(tokens.tolist(), lanes.tolist(), strict=True):
            state[lane][1] += row
        return super().predict([lane for lane, _ in state], tokens, lanes, **how)

    def rewind(self, state: Any, lanes: NDArray[np.int32], tokens: int) -> None:
        for lane in lanes.tolist():
            del state[lane][1][-tokens:]
            (state[lane][0],) = super().start(1)
            super().predict([state[lane][0]], np.array([state[lane][1]], np.int32), np.zeros(1, np.int32))


class Random(Guesser):
    """Guesses anything, of any length; mostly what is right where it knows it."""

    known: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
    draw = np.random.default_rng(0)

    def guess(self, lanes: Any, front: Any, new: int, left: Any, lengths: Any) -> NDArray[np.int32]:
        size = int(self.draw.integers(0, MOST_GUESSES + 1))
        found = self.draw.integers(0, len(lengths), (lanes.size, size), dtype=np.int32)
        if len(self.known) > front[0] and self.draw.random() < 0.7:
            right = self.known[front[0] : front[0] + size]
            found[:, : len(right)] = np.where(self.draw.random(len(right)) < 0.9, right, found[:, : len(right)])
        allowed = (np.cumsum(lengths[found], axis=1) < left[:, None]).all(axis=0)
        return found[:, allowed]


def engine_of(predictor: Any) -> Engine:
    return Engine(named("exact"), TOKENIZER, predictor)


def outcome(engine: Engine, payload: bytes, size: int, parameters: CodingParameters) -> bytes | None:
    try:
        return decode_model_block(engine, payload, size, parameters, None)
    except CorruptData:
        return None


@KINDS
def test_repetition_is_decoded_in_fewer_calls(parameters: CodingParameters) -> None:
    predictor = Counting()
    engine = engine_of(predictor)
    payload = encode_model_block(engine, RECORDS, parameters, None)
    predictor.calls = 0
    assert decode_model_block(engine, payload, len(RECORDS), parameters, None) == RECORDS
    assert predictor.calls < len(TOKENIZER.encode_all([RECORDS])[0]) / 3


@KINDS
@pytest.mark.parametrize("text", [TEXT * 2, RECORDS, b"a" * 200, b"x"], ids=len)
@pytest.mark.parametrize("lanes", [1, 3, MOST_LANES])
def test_lanes(text: bytes, lanes: int, parameters: CodingParameters) -> None:
    lanes = min(lanes, len(text))
    parameters = replace(parameters, lanes=lanes)
    engine = engine_of(Counting())
    payload = encode_model_block(engine, text, parameters, None)
    assert decode_model_block(engine, payload, len(text), parameters, None) == text


@KINDS
@pytest.mark.parametrize("seed", range(3))
def test_any_guesses(seed: int, parameters: CodingParameters, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = engine_of(Counting())
    payload = encode_model_block(engine, RECORDS, parameters, None)
    monkeypatch.setattr(Random, "known", TOKENIZER.encode_all([RECORDS])[0])
    monkeypatch.setattr(Random, "draw", np.random.default_rng(seed))
    monkeypatch.setattr(decoded_lanes, "Guesser", Random)
    assert decode_model_block(engine, payload, len(RECORDS), parameters, None) == RECORDS


@KINDS
def test_damage_is_found_as_by_a_decoder_that_does_not_guess(
    parameters: CodingParameters, monkeypatch: pytest.MonkeyPatch
) -> None:
    guessing, plain = engine_of(Counting()), engine_of(NgramPredictor(TOKENIZER.vocabulary))
    text = RECORDS[:200]
    payload = encode_model_block(plain, text, parameters, None)
    monkeypatch.setattr(Random, "known", TOKENIZER.encode_all([text])[0])
    monkeypatch.setattr(decoded_lanes, "Guesser", Random)
    for place in range(0, len(payload), 7):
        damaged = payload[:place] + bytes([payload[place] ^ 16]) + payload[place + 1 :]
        assert outcome(guessing, damaged, len(text), parameters) == outcome(plain, damaged, len(text), parameters)
    for damaged in (b"", payload[:-4], payload + bytes(4)):
        assert outcome(guessing, damaged, len(text), parameters) == outcome(plain, damaged, len(text), parameters)


@pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")
@pytest.mark.parametrize(
    ("window", "kernels", "threads", "size"),
    [(1, "cpu", 1, 500), (5, "cpu", 3, 500), (64, "cpu", 2, 500), (5, "reference", 1, 40)],
)
def test_a_transformer(window: int, kernels: str, threads: int, size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its cache is filled many times; with guesses as they are, and with random ones."""
    config = shaped(vocabulary_size=256, window=window)
    model = build_model(config, ByteTokenizer(), random_model(config, 5), Card("tiny"))
    monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
    monkeypatch.setenv("ZIPLLM_KERNELS", kernels)
    monkeypatch.setattr("zipllm.kernels.cpu.network.LEAST_PRODUCTS", 1)
    text = RECORDS[:size]
    engine = Engine(named("tiny"), ByteTokenizer(), ModelPredictor(model))
    payload = encode_model_block(engine, text, ADAPTIVE, None)
    assert decode_model_block(engine, payload, len(text), ADAPTIVE, None) == text
    monkeypatch.setattr(Random, "known", np.frombuffer(text, dtype=np.uint8).astype(np.int32))
    monkeypatch.setattr(decoded_lanes, "Guesser", Random)
    assert decode_model_block(engine, payload, len(text), ADAPTIVE, None) == text


def test_guesses_can_be_taken_back() -> None:
    assert MOST_GUESSES < MOST_REWOUND


def test_guesses_leave_every_lane_incomplete() -> None:
    """So the decoder never has to ask whether a lane is complete before the last token of a call."""
    ids = np.full(200, -1, dtype=np.int32)
    lengths = np.full(5, 3, dtype=np.int64)
    guesser = Guesser(ids, 1)
    lane = np.zeros(1, dtype=np.int32)
    for front in range(100):
        guesser.guess(lane, np.array([front]), min(front, 1), np.array([600]), lengths)
        ids[front] = front % 4
    guesser.guess(lane, np.array([100]), 1, np.array([600]), lengths)
    for left, most in ((1, 0), (3, 0), (4, 1), (13, 4), (25, 8)):
        guesses = guesser.guess(lane, np.array([100]), 0, np.array([left]), lengths)
        assert guesses.tolist() == [[0, 1, 2, 3, 0, 1, 2, 3][:most]]
    assert (ids[100:] == -1).all()
