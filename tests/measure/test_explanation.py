"""What every token cost: the bits are those of the archive, whatever coded it, and the model's words are right."""

import io
import random
from collections.abc import Callable
from importlib import resources
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.codec.engines import TEXT, bpe_engine, byte_engine
from zipllm.codec.block import lane_groups
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import MOST_EXPLAINED, EncodeOptions
from zipllm.container import Coding
from zipllm.container.block import LEAN_MIXER
from zipllm.engine.engine import Engine
from zipllm.errors import LimitExceeded, UsageError, VerificationFailed
from zipllm.measure import explanation as explanation_module
from zipllm.measure.costs import Costs, model_costs
from zipllm.measure.explanation import Explanation, explain_bytes
from zipllm.report.words import note

CHINESE = "学而时习之，不亦说乎？有朋自远方来，不亦乐乎？人不知而不愠，不亦君子乎？\n".encode() * 4
CODE = b"def double(value: int) -> int:\n\treturn 2 * value\n\n\n" * 6
TEXTS = {"english": TEXT, "chinese": CHINESE, "code": CODE, "no text": bytes(range(256)) * 2}
NOISE = random.Random(3).randbytes(700)

# What the range coder adds to the costs of all decisions: its closing words, and what dropped remainders cost.
CLOSING_BITS = 64


def archive_size(raw: bytes, engine: Engine | None, **options: Any) -> int:
    sink = io.BytesIO()
    compress_stream(io.BytesIO(raw), sink, engine=engine, options=EncodeOptions(verify=False, **options))
    return len(sink.getvalue())


def check(found: Explanation) -> None:
    tokens = found.costs.tokens.tolist()
    assert b"".join(found.vocabulary[token] for token in tokens) == found.text
    assert (found.costs.bits > 0).all()
    assert 0 <= 8 * found.payload_bytes - found.bits <= CLOSING_BITS + 3e-4 * 30 * len(tokens)
    assert 0 < found.container_bytes < 200
    assert sorted(found.costs.lanes.tolist()) == found.costs.lanes.tolist()


@pytest.mark.parametrize("lanes", [1, 3])
@pytest.mark.parametrize("history", [14, None])
@pytest.mark.parametrize("engine", [byte_engine, bpe_engine])
@pytest.mark.parametrize("kind", list(TEXTS))
def test_bits_add_up_to_the_archive(kind: str, engine: Callable[[], Engine], history: int | None, lanes: int) -> None:
    options = EncodeOptions(history_bits=history, lanes=lanes)
    found = explain_bytes(TEXTS[kind], engine(), by="model", options=options)
    check(found)
    assert found.coding is Coding.MODEL
    assert found.lanes == lanes
    assert found.history is (history is not None)
    forced = archive_size(TEXTS[kind], engine(), history_bits=history, lanes=lanes, fallback=False)
    assert found.archive_bytes == forced
    assert found.compress_bytes == archive_size(TEXTS[kind], engine(), history_bits=history, lanes=lanes)


@pytest.mark.parametrize("kind", list(TEXTS))
def test_so_do_those_of_the_history_alone(kind: str) -> None:
    found = explain_bytes(TEXTS[kind] * 3, byte_engine(), by="history", options=EncodeOptions(lanes=1))
    check(found)
    assert (found.coding, found.costs.opinions, found.model_id) == (Coding.HISTORY, None, None)
    assert found.archive_bytes == archive_size(TEXTS[kind] * 3, None)
    assert bytes(found.costs.tokens.tolist()) == found.raw


def test_of_transcoded_text_the_tokens_are_utf8() -> None:
    text = resources.files("zipllm.data").joinpath("samples/chinese.txt").read_text(encoding="utf-8")
    found = explain_bytes(text.encode("utf-16-le"), None, by="history", options=EncodeOptions(lanes=1))
    check(found)
    assert (found.encoding, found.text) == ("utf-16-le", text.encode())
    assert "transcoded from utf-16-le" in note(found)


@given(st.binary(min_size=1, max_size=300), st.sampled_from([None, 12]), st.integers(1, 4))
def test_any_bytes(raw: bytes, history: int | None, lanes: int) -> None:
    options = EncodeOptions(history_bits=history, lanes=lanes)
    check(explain_bytes(raw, bpe_engine(), by="model", options=options))


@pytest.mark.parametrize("history", [14, None])
def test_chunks_of_steps_change_nothing(monkeypatch: pytest.MonkeyPatch, history: int | None) -> None:
    options = EncodeOptions(history_bits=history, lanes=2)
    whole = explain_bytes(TEXT, bpe_engine(), by="model", options=options)
    monkeypatch.setattr(lane_groups, "chunk_steps", lambda engine, lanes, *, selecting: 7)
    parts = explain_bytes(TEXT, bpe_engine(), by="model", options=options)
    np.testing.assert_allclose(whole.costs.bits, parts.costs.bits, atol=1e-6)
    assert whole.costs.opinions is not None
    assert parts.costs.opinions is not None
    for one, other in zip(whole.costs.opinions, parts.costs.opinions, strict=True):
        np.testing.assert_array_equal(one, other)


def test_without_history_a_token_costs_what_the_model_says() -> None:
    found = explain_bytes(TEXT, bpe_engine(), by="model", options=EncodeOptions(history_bits=None, lanes=2))
    assert found.costs.opinions is not None
    alone = np.log2(found.whole) - np.log2(found.costs.opinions.frequency)
    np.testing.assert_allclose(found.costs.bits, alone, atol=1e-2)  # each branch rounds to 24 bits


def test_the_models_words() -> None:
    """Against a plain sort of the frequencies, step by step, each lane from its own start."""
    engine = bpe_engine()
    found = explain_bytes(TEXT, engine, by="model", options=EncodeOptions(history_bits=14, lanes=2))
    opinions = found.costs.opinions
    assert opinions is not None
    for lane in (0, 1):
        places = np.flatnonzero(found.costs.lanes == lane)
        state, last = engine.predictor.start(1), engine.predictor.start_token
        for place in places.tolist():
            cumulative = engine.predictor.predict(state, np.array([[last]], np.int32), np.array([0], np.int32))[0, 0]
            frequencies = np.diff(cumulative).tolist()
            order = sorted(range(len(frequencies)), key=lambda token: (-frequencies[token], token))
            last = int(found.costs.tokens[place])
            assert opinions.top[place].tolist() == order[:5]
            assert opinions.top_frequency[place].tolist() == [frequencies[token] for token in order[:5]]
            assert opinions.frequency[place] == frequencies[last]
            assert opinions.rank[place] == 1 + sum(other > frequencies[last] for other in frequencies)


def test_auto_is_what_compress_does() -> None:
    found = explain_bytes(TEXT * 4, bpe_engine(), options=EncodeOptions(mixer=LEAN_MIXER))
    assert found.coding is found.compress_coding
    assert found.archive_bytes == found.compress_bytes == archive_size(TEXT * 4, bpe_engine(), mixer=LEAN_MIXER)


def test_what_is_stored_is_explained_by_the_model() -> None:
    found = explain_bytes(NOISE, byte_engine())
    assert (found.compress_coding, found.coding) == (Coding.STORED, Coding.MODEL)
    assert found.archive_bytes > found.compress_bytes == archive_size(NOISE, byte_engine())


def test_by_history_still_says_what_compress_does() -> None:
    found = explain_bytes(TEXT * 4, bpe_engine(), by="history")
    assert found.coding is Coding.HISTORY
    assert found.compress_bytes == archive_size(TEXT * 4, bpe_engine())


def test_refusals() -> None:
    with pytest.raises(UsageError, match="no bytes"):
        explain_bytes(b"", byte_engine())
    with pytest.raises(LimitExceeded, match="256 KiB"):
        explain_bytes(bytes(MOST_EXPLAINED + 1), byte_engine())
    with pytest.raises(UsageError, match="stored"):
        explain_bytes(NOISE, byte_engine(), by="history")
    with pytest.raises(UsageError, match="switched off"):
        explain_bytes(TEXT, byte_engine(), by="history", options=EncodeOptions(history_bits=None))
    with pytest.raises(UsageError, match="needs a model"):
        explain_bytes(NOISE, None, by="model")


def test_another_payload_is_no_explanation(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(*arguments: Any) -> Costs:
        return model_costs(*arguments)._replace(payload=b"other")

    monkeypatch.setattr(explanation_module, "model_costs", wrong)
    with pytest.raises(VerificationFailed):
        explain_bytes(TEXT, bpe_engine(), by="model")


def test_progress_never_falls() -> None:
    told: list[float] = []
    explain_bytes(TEXT * 4, bpe_engine(), by="model", step=told.append)
    assert told == sorted(told)
    assert told[-1] == 1
