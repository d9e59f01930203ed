"""DNA: both directions, lines and names and other letters between, both strands, with and without a compiler."""

import contextlib
import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import zipllm
from zipllm.container.samples import DNA, dna_layout
from zipllm.errors import CorruptData
from zipllm.jit.compiled import COMPILES
from zipllm.media.coding import decode, encode
from zipllm.media.dna_memory import find_dna

COMPLEMENT = bytes.maketrans(b"ACGT", b"TGCA")


def bases(count: int, seed: int = 1) -> bytes:
    """Random bases: two bits each."""
    return np.random.default_rng(seed).choice(np.frombuffer(b"ACGT", np.uint8), count).tobytes()


def fasta(sequence: bytes, width: int = 70) -> bytes:
    lines = [sequence[begin : begin + width] for begin in range(0, len(sequence), width)]
    return b">chr1 a test\n" + b"\n".join(lines) + b"\n"


def size_of(raw: bytes) -> int:
    payload = encode(raw, dna_layout(len(raw)))
    assert decode(payload, len(raw), dna_layout(len(raw))) == raw
    return len(payload)


@given(st.lists(st.sampled_from([b"A", b"CGT", b"acgt", b"N", b"\n", b"GATTACA" * 5, b"\xff"]) | st.binary(max_size=9)))
def test_round_trips(parts: list[bytes]) -> None:
    raw = b"".join(parts) or b"A"
    size_of(raw)


def test_random_bases_take_two_bits() -> None:
    assert size_of(bases(40_000)) < 40_000 / 4 * 1.01


@pytest.mark.parametrize("width", [60, 61, 80])
def test_lines_cost_next_to_nothing(width: int) -> None:
    sequence = bases(30_000)
    assert size_of(fasta(sequence, width)) < size_of(sequence) + 100


def test_small_letters_and_unknown_bases_cost_where_they_begin_and_end() -> None:
    sequence = bases(30_000)
    masked = sequence[:9000] + sequence[9000:20_000].lower() + b"N" * 500 + sequence[20_000:]
    assert size_of(masked) < size_of(sequence) + 100


def test_a_repeat_and_its_reverse_complement_cost_little() -> None:
    sequence = bases(20_000)
    alone = size_of(sequence)
    assert size_of(sequence + sequence) < alone + 200
    assert size_of(sequence + sequence.translate(COMPLEMENT)[::-1]) < alone + 200
    assert size_of(sequence + sequence.translate(COMPLEMENT)) > 1.9 * alone


def test_a_match_with_errors_is_kept() -> None:
    sequence = bases(20_000)
    other = bytearray(sequence)
    other[::50] = bases(len(other[::50]), seed=2)
    assert size_of(sequence + bytes(other)) < 1.35 * size_of(sequence)


def test_what_is_taken_for_dna() -> None:
    found = find_dna(fasta(bases(9000)))
    assert found is not None
    assert found.kind == DNA
    assert find_dna(bases(5000).lower()) is not None
    assert find_dna(b"A text about cats, tags and acts. " * 200) is None
    assert find_dna(np.random.default_rng(1).bytes(5000)) is None


@pytest.mark.parametrize("seed", range(20))
def test_words_that_were_never_coded(seed: int) -> None:
    payload = np.random.default_rng(seed).bytes(4 * seed)
    try:
        assert len(decode(payload, 500, dna_layout(500))) == 500
    except CorruptData:
        return


def digest() -> str:
    """Of the payload of names, lines, both cases, other bytes, a repeat and its reverse complement."""
    sequence = bases(400)
    turned = sequence[100:300].translate(COMPLEMENT)[::-1]
    raw = fasta(sequence) + turned.lower() + b"NNN\xff\0" + sequence[50:350]
    payload = encode(raw, dna_layout(len(raw)))
    assert decode(payload, len(raw), dna_layout(len(raw))) == raw
    return hashlib.sha256(payload).hexdigest()[:16]


def test_the_payload_does_not_change() -> None:
    """Any change of this hash is another format."""
    assert digest() == "43f92055276cff45"


@pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")
def test_plain_python_gives_the_same_payload() -> None:
    root = Path(zipllm.__file__).parents[1]
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(root), "PYTHONWARNINGS": "error"}
    command = [sys.executable, "-c", "from tests.media.test_dna import digest; print(digest())"]
    plain = subprocess.run(command, env=environment, check=True, capture_output=True, text=True, cwd=root).stdout
    assert plain.strip() == digest()


@pytest.mark.parametrize("place", [0, 9, 40, 200])
def test_damage(place: int) -> None:
    """A changed bit gives other bytes, which the checksum of a block finds, or an error; a cut payload an error."""
    raw = fasta(bases(1500))
    payload = bytearray(encode(raw, dna_layout(len(raw))))
    with pytest.raises(CorruptData):
        decode(bytes(payload[: len(payload) // 8 * 4]), len(raw), dna_layout(len(raw)))
    payload[place] ^= 4
    with contextlib.suppress(CorruptData):
        assert decode(bytes(payload), len(raw), dna_layout(len(raw))) != raw
