"""Tokens coded with history: back come the same tokens, and the same memory, with and without a compiler."""

import hashlib
import itertools
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

import zipllm
from tests.mixing.vocabularies import text_like
from zipllm.coder.fused import FusedDecoder, FusedEncoder
from zipllm.errors import CorruptData
from zipllm.jit.compiled import COMPILES
from zipllm.mixing.adaptive import Chunk, decode_chunk, encode_chunk
from zipllm.mixing.contexts import CODE, ROWS, TEXT, Style
from zipllm.mixing.decision_tree import DecisionTree
from zipllm.mixing.memory import FULL, LEAN, Memory, Shape, memory_digest, new_memory
from zipllm.mixing.token_path import Vocabulary

BYTES = tuple(bytes([value]) for value in range(256))
VOCABULARIES = {
    "bytes": BYTES,
    "one": (b"x",),
    "prefixes": (b"a", b"aa", b"aaa", b"ab", b"b"),
    "text": tuple(text_like(600)),
}
NOTHING = np.zeros((1, 1, 0), dtype=np.int32)
STYLES = [Style(TEXT, 1), Style(ROWS, 1), Style(ROWS, 7)]
SHAPES = pytest.mark.parametrize("shape", [LEAN, FULL], ids=["lean", "full"])
FULL_STYLES = [Style(TEXT), Style(ROWS), Style(ROWS, 7, 2), Style(ROWS, 40, 3), Style(CODE)]
KINDS = [(LEAN, style) for style in STYLES] + [(FULL, style) for style in FULL_STYLES]
PROSE = b"It was the best of times, it was the worst of times.\nIt was the age of wisdom, " * 6


def vocabulary(tokens: tuple[bytes, ...]) -> Vocabulary:
    return Vocabulary.of(DecisionTree.from_vocabulary(tokens), tokens)


def frequencies(lanes: int, steps: int, size: int, seed: int) -> NDArray[np.int32]:
    """Random cumulative frequencies, some of them extreme: int32 ``[lanes, steps, size + 1]``."""
    generator = np.random.default_rng(seed)
    shares = np.floor(np.exp(generator.normal(0, 4, (lanes, steps, size))) * 100) + 1
    counts = np.maximum(1, (shares / shares.sum(-1, keepdims=True) * ((1 << 24) - size)).astype(np.int64))
    counts[..., 0] += (1 << 24) - counts.sum(-1)
    return np.concatenate((np.zeros((lanes, steps, 1), np.int64), counts.cumsum(-1)), -1).astype(np.int32)


class Block:
    """A block to code: random tokens of some lanes, with or without a model."""

    def __init__(self, tokens: tuple[bytes, ...], lanes: int, steps: int, seed: int, with_model: bool) -> None:
        generator = np.random.default_rng(seed)
        self.vocabulary = vocabulary(tokens)
        self.tokens = generator.integers(0, min(len(tokens), 40), (lanes, steps), dtype=np.int32)
        self.sizes = np.array([sum(len(tokens[token]) for token in lane) for lane in self.tokens], dtype=np.int64)
        self.cumulative = frequencies(lanes, steps, len(tokens), seed) if with_model else NOTHING
        self.raw = b"".join(tokens[token] for token in self.tokens.ravel())

    def chunk(self, begin: int, end: int, tokens: NDArray[np.int32]) -> Chunk:
        lanes = np.arange(len(self.sizes))
        cumulative = NOTHING if self.cumulative is NOTHING else np.ascontiguousarray(self.cumulative[:, begin:end])
        return Chunk(lanes, np.full(len(lanes), end - begin), tokens, cumulative)

    def encode(self, style: Style, pieces: int = 1, shape: Shape = FULL) -> tuple[NDArray[np.uint32], Memory]:
        memory, encoder = new_memory(self.sizes, 12, None, shape), FusedEncoder()
        cuts = [self.tokens.shape[1] * piece // pieces for piece in range(pieces + 1)]
        for begin, end in itertools.pairwise(cuts):
            chunk = self.chunk(begin, end, self.tokens[:, begin:end].copy())
            encode_chunk(memory, self.vocabulary, chunk, style, encoder)
        return encoder.finish(), memory

    def decode(
        self, words: NDArray[np.uint32], style: Style, shape: Shape = FULL
    ) -> tuple[NDArray[np.int32], Memory, bool]:
        memory, decoder = new_memory(self.sizes, 12, None, shape), FusedDecoder(words)
        steps = []
        for step in range(self.tokens.shape[1]):
            chunk = self.chunk(step, step + 1, np.zeros((len(self.sizes), 1), dtype=np.int32))
            decode_chunk(memory, self.vocabulary, chunk, style, decoder)
            steps.append(chunk.tokens)
        return np.concatenate(steps, axis=1), memory, decoder.at_end()


@pytest.mark.parametrize("with_model", [False, True])
@pytest.mark.parametrize("name", sorted(VOCABULARIES))
@pytest.mark.parametrize(
    ("shape", "style"), KINDS, ids=[f"{len(shape.sets)}-{style.family}-{style.row}" for shape, style in KINDS]
)
def test_what_was_coded_comes_back(shape: Shape, name: str, with_model: bool, style: Style) -> None:
    block = Block(VOCABULARIES[name], lanes=3, steps=40, seed=len(name), with_model=with_model)
    words, memory = block.encode(style, shape=shape)
    tokens, other, at_end = block.decode(words, style, shape)
    assert np.array_equal(tokens, block.tokens)
    assert at_end
    assert memory.seen.tobytes() == block.raw
    assert memory_digest(memory) == memory_digest(other)


@given(st.integers(1, 9), st.integers(1, 6), st.integers(0, 1000))
def test_chunks_do_not_matter(pieces: int, lanes: int, seed: int) -> None:
    block = Block(BYTES, lanes, steps=30, seed=seed, with_model=bool(seed % 2))
    whole, memory = block.encode(STYLES[0])
    cut, other = block.encode(STYLES[0], pieces)
    assert whole.tolist() == cut.tolist()
    assert memory_digest(memory) == memory_digest(other)


@pytest.mark.parametrize("name", sorted(VOCABULARIES))
def test_the_columns_of_its_tokens_are_all_that_coding_needs(name: str) -> None:
    block = Block(VOCABULARIES[name], lanes=3, steps=40, seed=5, with_model=True)
    columns = DecisionTree.from_vocabulary(VOCABULARIES[name]).columns
    memory, encoder = new_memory(block.sizes, 12, None, FULL), FusedEncoder()
    whole = block.chunk(0, 40, block.tokens.copy())
    selected = np.take_along_axis(whole.cumulative, columns[block.tokens], axis=2)
    encode_chunk(memory, block.vocabulary, whole._replace(cumulative=selected, selected=True), STYLES[0], encoder)
    words, other = block.encode(STYLES[0])
    assert encoder.finish().tolist() == words.tolist()
    assert memory_digest(memory) == memory_digest(other)


@SHAPES
def test_it_learns(shape: Shape) -> None:
    """The second half of a repeated text costs a tenth of the first."""
    data = np.frombuffer(PROSE + PROSE, dtype=np.uint8).astype(np.int32)[None]
    memory, encoder, sizes = new_memory(np.array([data.size]), 16, None, shape), FusedEncoder(), []
    for half in np.split(data, 2, axis=1):
        chunk = Chunk(np.zeros(1, np.int64), np.array([half.size]), half.copy(), NOTHING)
        encode_chunk(memory, vocabulary(BYTES), chunk, STYLES[0], encoder)
        sizes.append(encoder.position())
    assert (sizes[1] - sizes[0]) * 10 < sizes[0] + 10
    assert sizes[0] * 4 < len(PROSE) / 3


def test_a_sure_model_is_believed() -> None:
    """What the model is certain of costs next to nothing, whatever the history thinks."""
    block = Block(BYTES, lanes=1, steps=400, seed=3, with_model=True)
    counts = np.ones((1, 400, 256), dtype=np.int64)
    np.put_along_axis(counts, block.tokens[..., None], (1 << 24) - 255, axis=-1)
    block.cumulative[..., 1:] = counts.cumsum(-1)
    words, _ = block.encode(STYLES[0])
    assert 32 * len(words) < 0.5 * 400


def test_a_token_past_the_end_of_its_lane() -> None:
    block = Block((b"a", b"abc", b"b"), lanes=2, steps=9, seed=0, with_model=True)
    words, _ = block.encode(STYLES[0])
    block.sizes = block.sizes - 1
    with pytest.raises(CorruptData, match="overruns"):
        block.decode(words, STYLES[0])


def test_frequencies_that_do_not_ascend() -> None:
    block = Block(BYTES, lanes=1, steps=5, seed=1, with_model=True)
    block.cumulative[0, 2, 100:200] = 0
    with pytest.raises(ValueError, match="ascending"):
        block.encode(STYLES[0])


@pytest.mark.parametrize("seed", range(20))
def test_words_that_were_never_coded(seed: int) -> None:
    """Any words decode to something, or are refused; nothing is written outside."""
    block = Block(BYTES, lanes=4, steps=50, seed=seed, with_model=bool(seed % 2))
    words = np.random.default_rng(seed).integers(0, 1 << 32, 40, dtype=np.uint32)
    try:
        _, memory, at_end = block.decode(words, FULL_STYLES[seed % 5])
    except CorruptData:
        return
    assert not at_end
    assert memory.seen.size == len(block.raw)


SCRIPT = """
import json
from tests.mixing.test_adaptive import fingerprints
print(json.dumps(fingerprints()))
"""


def fingerprints() -> list[Any]:
    """Words and memory of several blocks, as hashes."""
    found: list[Any] = [COMPILES]
    for seed, (shape, style) in enumerate(KINDS):
        for name in ("bytes", "bpe"):
            tokens = BYTES if name == "bytes" else (b"a", b"ab", b"abc", b"b", b"ba", b"\n", b"The", b"the ")
            block = Block(tuple(sorted(tokens)), lanes=2, steps=60, seed=seed, with_model=name == "bpe")
            words, memory = block.encode(style, shape=shape)
            found.append([hashlib.sha256(words.tobytes()).hexdigest(), memory_digest(memory)])
    return found


@pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")
def test_plain_python_gives_the_same_words_and_the_same_memory() -> None:
    """The modules run uncompiled are the definition of the mixer."""
    root = Path(zipllm.__file__).parents[1]
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(root), "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-c", SCRIPT]
    plain = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, cwd=root).stdout
    compiled = fingerprints()
    assert json.loads(plain)[0] is False
    assert json.loads(plain)[1:] == compiled[1:]
