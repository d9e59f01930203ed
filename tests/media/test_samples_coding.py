"""Blocks of samples: back come the same bytes, with and without a compiler, and damage is found."""

import contextlib
import hashlib
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import zipllm
from tests.media.synthetic import KINDS, block
from zipllm.container.samples import MOST_ROW, PICTURE, SOUND, UNSIGNED, Layout
from zipllm.errors import CorruptData
from zipllm.jit.compiled import COMPILES
from zipllm.media.coding import decode, encode

ALL_KINDS = pytest.mark.parametrize("kind", KINDS)


@ALL_KINDS
def test_what_was_coded_comes_back_and_is_smaller(kind: str) -> None:
    raw, layout = block(kind, 3000)
    payload = encode(raw, layout)
    assert decode(payload, len(raw), layout) == raw
    assert len(payload) < 0.9 * len(raw)


@ALL_KINDS
@pytest.mark.parametrize(("begin", "tail"), [(1, 0), (44, 3), (0, 100)])
@pytest.mark.parametrize("size", [0, 1, 7, 100])
def test_samples_between_other_bytes(kind: str, begin: int, tail: int, size: int) -> None:
    raw, layout = block(kind, size, begin, tail)
    assert decode(encode(raw, layout), len(raw), layout) == raw


@pytest.mark.parametrize("family", [SOUND, PICTURE])
@pytest.mark.parametrize("size", range(4))
def test_tiny_blocks(family: int, size: int) -> None:
    layout = Layout(family, 0, size, 1, 1, UNSIGNED if family == SOUND else 0)
    raw = bytes(range(size))
    assert decode(encode(raw, layout), size, layout) == raw


@given(st.binary(max_size=200), st.sampled_from(sorted(KINDS)), st.integers(0, 20))
def test_a_false_layout_costs_only_bytes(raw: bytes, kind: str, begin: int) -> None:
    begin = min(begin, len(raw))
    rows = (len(raw) - begin) // KINDS[kind].row
    layout = replace(KINDS[kind], begin=begin, length=rows * KINDS[kind].row)
    assert decode(encode(raw, layout), len(raw), layout) == raw


def test_the_longest_row() -> None:
    raw = np.random.default_rng(1).integers(0, 4, MOST_ROW + 5, dtype=np.uint8).tobytes()
    layout = Layout(PICTURE, 5, MOST_ROW, MOST_ROW, 4)
    if COMPILES:
        assert len(encode(raw, layout)) < len(raw) / 2


@pytest.mark.parametrize("kind", ["8-bit unsigned", "16-bit", "24-bit big-endian stereo", "gray", "colour and alpha"])
def test_extremes(kind: str) -> None:
    """Full swing in every pattern of 16 samples: sums stay within their bounds."""
    layout = KINDS[kind]
    bits = np.random.default_rng(2).integers(0, 2, 1000, dtype=np.uint8)
    frames = np.repeat(np.concatenate((bits, np.tile(bits[:16], 50))) * 255, layout.row)
    raw = frames.astype(np.uint8).tobytes()
    raw = raw[: len(raw) // layout.row * layout.row]
    layout = replace(layout, length=len(raw))
    if COMPILES:
        assert decode(encode(raw, layout), len(raw), layout) == raw


def test_progress() -> None:
    raw, layout = block("gray", 140_000)
    if not COMPILES:
        raw, layout = raw[:400], replace(layout, length=400)
    told: list[tuple[float, int]] = []
    payload = encode(raw, layout, lambda done, size: told.append((done, size)))
    decode(payload, len(raw), layout, lambda done, size: told.append((done, size)))
    half = len(told) // 2
    assert half == -(-len(raw) // 65536)
    for part in (told[:half], told[half:]):
        assert part == sorted(part)
        assert part[-1][0] == 1.0
        assert abs(part[-1][1] - len(payload)) <= 8


@pytest.mark.parametrize("kind", ["16-bit", "colour"])
def test_damage_is_found(kind: str) -> None:
    raw, layout = block(kind, 600, 20, 5)
    payload = encode(raw, layout)
    for wrong in (b"", payload[:-4], payload[:8], payload + bytes(4), b"\xff" * len(payload), bytes(len(payload))):
        with pytest.raises(CorruptData):
            decode(wrong, len(raw), layout)
    with pytest.raises(CorruptData, match="32-bit words"):
        decode(payload + b"x", len(raw), layout)


@pytest.mark.parametrize("kind", ["8-bit signed stereo", "24-bit", "gray", "colour and alpha"])
def test_flipped_bits(kind: str) -> None:
    """They decode to other bytes, which the checksum of a block finds, or are refused; nothing is written outside."""
    raw, layout = block(kind, 600, 20, 5)
    payload, generator = encode(raw, layout), np.random.default_rng(3)
    for _ in range(30):
        broken = bytearray(payload)
        broken[generator.integers(len(payload))] ^= 1 << generator.integers(8)
        with contextlib.suppress(CorruptData):
            decoded = decode(bytes(broken), len(raw), layout)
            assert len(decoded) == len(raw)
            assert decoded != raw


def test_a_payload_that_is_too_short_ends_early() -> None:
    layout = Layout(PICTURE, 0, 1 << 24, 4096, 1)
    with pytest.raises(CorruptData):
        decode(b"\x12\x34\x56\x78" * 3, 1 << 24, layout)


GOLDEN = {
    "8-bit unsigned": "5617eff9929e223f",
    "8-bit signed stereo": "14f98721e77ee74c",
    "16-bit": "6af627fede589bfd",
    "16-bit unsigned": "6af627fede589bfd",
    "16-bit big-endian stereo": "c9b34dfc4199e188",
    "24-bit": "b9d81d624ecf153c",
    "24-bit big-endian stereo": "cd88a48d92a4a554",
    "gray": "37f68a544f7a24c6",
    "gray, one column": "1fff3cceefe5fb8d",
    "colour": "7a62c46b2552b985",
    "colour, padded rows": "a041716b3bde27b4",
    "colour, one column": "f14b60b2d5c79983",
    "colour and alpha": "cee98be4cf848244",
}


def fingerprint(kind: str) -> str:
    """The payload of a small block, as a hash."""
    raw, layout = block(kind, 50, begin=3, tail=2)
    return hashlib.sha256(encode(raw, layout)).hexdigest()[:16]


def test_payloads_do_not_change() -> None:
    """Any change of these hashes is another format."""
    assert {kind: fingerprint(kind) for kind in KINDS} == GOLDEN


SCRIPT = """
import sys
from tests.media.test_samples_coding import COMPILES, fingerprint
print(COMPILES, *map(fingerprint, sys.argv[1:]))
"""


@pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")
@pytest.mark.parametrize("group", range(4))
def test_plain_python_gives_the_same_words(group: int) -> None:
    """The modules run uncompiled are the definition of the format."""
    kinds = list(KINDS)[group::4]
    root = Path(zipllm.__file__).parents[1]
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(root), "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-c", SCRIPT, *kinds]
    plain = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, cwd=root).stdout
    assert plain.split() == ["False", *(GOLDEN[kind] for kind in kinds)]
