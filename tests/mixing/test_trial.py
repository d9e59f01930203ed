"""Texts measured behind a memory: what coding them there costs, and the memory as it was."""

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.mixing.test_adaptive import NOTHING, PROSE, STYLES, VOCABULARIES, frequencies, vocabulary
from zipllm.coder.fused import FusedEncoder
from zipllm.mixing import trial
from zipllm.mixing.adaptive import Chunk, encode_chunk
from zipllm.mixing.contexts import Style
from zipllm.mixing.memory import Memory, new_memory
from zipllm.mixing.trial import Trial

Tokens = NDArray[np.int32]
SCRATCH = {"contexts", "places", "inputs", "sets", "outputs", "now"}
DROPPED = 3e-4
"""Bits that the range coder loses in a decision by cutting its range to 24 bits."""


class Learned:
    """A memory that has coded some tokens, and room for more; ``cost`` codes others after them, the ordinary way."""

    def __init__(self, name: str, with_model: bool, style: Style, steps: int = 300, room: int = 2000) -> None:
        words = VOCABULARIES[name]
        self.vocabulary, self.size, self.style, self.with_model = vocabulary(words), len(words), style, with_model
        first = self.tokens(steps, 1)
        taken = sum(len(words[token]) for token in first)
        self.memory, self.encoder = new_memory(np.array([taken + room]), 12, None), FusedEncoder()
        self._encode(first, self.said(steps, 1))

    def tokens(self, steps: int, seed: int) -> Tokens:
        return np.random.default_rng(seed).integers(0, min(self.size, 40), steps, dtype=np.int32)

    def said(self, steps: int, seed: int) -> NDArray[np.int32]:
        said: NDArray[np.int32] = frequencies(1, steps, self.size, seed)[0] if self.with_model else NOTHING[0]
        return said

    def cost(self, tokens: Tokens, said: NDArray[np.int32]) -> float:
        before = self.encoder.spent()
        self._encode(tokens, said)
        return self.encoder.spent() - before

    def _encode(self, tokens: Tokens, said: NDArray[np.int32]) -> None:
        chunk = Chunk(np.zeros(1, np.int64), np.array([len(tokens)]), tokens[None].copy(), said[None].copy())
        encode_chunk(self.memory, self.vocabulary, chunk, self.style, self.encoder)


def kept(memory: Memory) -> dict[str, bytes]:
    return {name: array.tobytes() for name, array in memory._asdict().items() if name not in SCRATCH}


@pytest.mark.parametrize("style", STYLES, ids=str)
@pytest.mark.parametrize("with_model", [False, True])
@pytest.mark.parametrize("name", sorted(VOCABULARIES))
def test_it_costs_what_coding_costs(name: str, with_model: bool, style: Style) -> None:
    learned = Learned(name, with_model, style)
    tokens, said = learned.tokens(60, 2), learned.said(60, 2)
    found = Trial(learned.memory, learned.vocabulary, style).bits(tokens, said)
    paid = learned.cost(tokens, said)
    decisions = 60 * learned.vocabulary.longest
    assert 0 <= paid - found + 1e-9 <= DROPPED * decisions + 1e-9
    if name != "one":
        assert found > 60


@pytest.mark.parametrize("with_model", [False, True])
@pytest.mark.parametrize("name", ["bytes", "text"])
def test_the_memory_is_as_before(name: str, with_model: bool) -> None:
    """Also after a text that is longer than the journal's first piece, and the order of texts does not matter."""
    learned = Learned(name, with_model, STYLES[0], room=3 * trial._PIECE)
    before = kept(learned.memory)
    measure = Trial(learned.memory, learned.vocabulary, STYLES[0])
    texts = [(learned.tokens(steps, steps), learned.said(steps, steps)) for steps in (1, 50, 1000, 7, 0)]
    if not with_model:
        texts.append((learned.tokens(trial._PIECE + 9 if name == "bytes" else 1500, 5), learned.said(1, 5)))
    found = [measure.bits(*text) for text in texts]
    assert kept(learned.memory) == before
    assert [measure.bits(*text) for text in reversed(texts)] == found[::-1]
    assert found[4] == 0


def test_a_text_like_the_others_costs_less() -> None:
    data = np.frombuffer(PROSE, dtype=np.uint8).astype(np.int32)
    words = vocabulary(VOCABULARIES["bytes"])
    memory = new_memory(np.array([2 * data.size]), 16, None)
    chunk = Chunk(np.zeros(1, np.int64), np.array([data.size]), data[None].copy(), NOTHING)
    encode_chunk(memory, words, chunk, STYLES[0], FusedEncoder())
    measure = Trial(memory, words, STYLES[0])
    assert 20 * measure.bits(data[:80], NOTHING[0]) < measure.bits(data[:80][::-1], NOTHING[0])


def test_a_text_that_does_not_fit() -> None:
    learned = Learned("bytes", False, STYLES[0], room=10)
    measure = Trial(learned.memory, learned.vocabulary, STYLES[0])
    assert measure.bits(learned.tokens(10, 3), NOTHING[0]) > 0
    with pytest.raises(ValueError, match="11 bytes"):
        measure.bits(learned.tokens(11, 3), NOTHING[0])


def test_frequencies_that_do_not_ascend() -> None:
    learned = Learned("prefixes", True, STYLES[0])
    before = kept(learned.memory)
    measure = Trial(learned.memory, learned.vocabulary, STYLES[0])
    with pytest.raises(ValueError, match="ascending"):
        measure.bits(learned.tokens(4, 3), np.zeros((4, 6), dtype=np.int32))
    assert kept(learned.memory) == before
