"""The same data, model and options give the same bytes, whenever and wherever."""

import hashlib
import io
import os
import random
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from tests.codec.engines import TEXT, bpe_engine, byte_engine, compress, engine_with
from zipllm.codec.block import lane_groups
from zipllm.container import ArchiveReader, Block

PROGRAM = (
    "import hashlib; from tests.codec.engines import *;"
    "print(hashlib.sha256(compress(TEXT, bpe_engine(), lanes=3) + compress(TEXT, fallback=True)).hexdigest())"
)


def test_twice() -> None:
    assert compress(TEXT, lanes=2) == compress(TEXT, lanes=2)


def test_after_other_work() -> None:
    before = compress(TEXT, bpe_engine())
    compress(bytes(300), bpe_engine())
    assert compress(TEXT, bpe_engine()) == before


def test_verification_changes_nothing() -> None:
    assert compress(TEXT, verify=False) == compress(TEXT)


def test_in_another_process() -> None:
    """With another seed of Python's hashes, so that no set or dictionary order may leak into the bytes."""
    here = hashlib.sha256(compress(TEXT, bpe_engine(), lanes=3) + compress(TEXT, fallback=True)).hexdigest()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env={**os.environ, "PYTHONHASHSEED": "77"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == here


@pytest.mark.parametrize("steps", [1, 7, 64])
def test_chunks_of_any_length(monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
    whole = compress(TEXT, bpe_engine(), lanes=3)
    monkeypatch.setattr(lane_groups, "MAX_CHUNK_STEPS", steps)
    assert compress(TEXT, bpe_engine(), lanes=3) == whole


def test_ragged_lanes_in_small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Text and random bytes side by side: lanes with very different numbers of tokens."""
    data = TEXT + random.Random(3).randbytes(len(TEXT)) + TEXT
    whole = compress(data, bpe_engine(), lanes=3)
    monkeypatch.setattr(lane_groups, "MAX_CHUNK_STEPS", 5)
    assert compress(data, bpe_engine(), lanes=3) == whole


def test_chunks_are_bounded_by_memory() -> None:
    assert lane_groups.chunk_steps(byte_engine(), 1) == lane_groups.MAX_CHUNK_STEPS
    assert lane_groups.chunk_steps(byte_engine(), 4096) == (32 << 20) // (4096 * 257 * 4)
    assert lane_groups.chunk_steps(byte_engine(), 1 << 24) == 1


def test_words_of_the_format() -> None:
    """Exact bytes: a change breaks every archive ever written."""
    archive = compress(b"how much wood would a woodchuck chuck", lanes=2, block_size=20)
    blocks = [record for record in ArchiveReader(io.BytesIO(archive)) if isinstance(record, Block)]
    assert [block.payload.hex(" ", -4) for block in blocks] == [
        "5bf7d53c 353da674 a93db0cc 34d792b7 abea4a0a 1bb56c09",
        "f700133d e417944c 17e2635c e5a1c1db c022cf5a 117f6a96",
    ]


def test_predictions_are_asked_for_in_order() -> None:
    """What the encoder feeds is the start token and then each lane's own tokens."""
    seen = []

    class Spy:
        def __getattr__(self, name: str) -> Any:
            return getattr(byte_engine().predictor, name)

        def predict(self, state: Any, tokens: Any, lanes: Any, **options: Any) -> Any:
            seen.append(np.array(tokens))
            return byte_engine().predictor.predict(state, tokens, lanes, **options)

    compress(b"abcdef", engine_with(Spy()), lanes=2, verify=False)
    assert [table.tolist() for table in seen] == [[[256, 97, 98], [256, 100, 101]]]
