"""What was coded is decoded and compared before it is written; a fault anywhere is an error, not a lost file."""

import io
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from tests.codec.engines import TEXT, byte_engine, compress, engine_with
from zipllm.codec import block_encoding
from zipllm.codec.block import conventional_block
from zipllm.codec.choose import Choice
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.container import ArchiveReader, Block, Coding
from zipllm.errors import VerificationFailed
from zipllm.predictor.base import Traits


class Faulty:
    """A predictor whose steps differ from its passes at one place, as a float model's do."""

    traits = Traits(exact=False)

    def __init__(self, wrong_step: int) -> None:
        self._right = byte_engine().predictor
        self._wrong_step = wrong_step
        self._steps = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._right, name)

    def predict(self, state: Any, tokens: Any, lanes: Any, **options: Any) -> Any:
        cumulative = self._right.predict(state, tokens, lanes, **options)
        if tokens.shape[1] > 1:
            return cumulative
        if self._steps == self._wrong_step:
            cumulative = np.array(cumulative)
            cumulative[0, 0, 1:-1] += 1  # the first token one likelier, the last one less
        self._steps += 1
        return cumulative


@pytest.mark.parametrize("wrong_step", [0, 1, 40, 78])
def test_a_predictor_that_decodes_differently(wrong_step: int) -> None:
    sink = io.BytesIO()
    options = EncodeOptions(fallback=False, lanes=2, history_bits=None)
    with pytest.raises(VerificationFailed, match="model block"):
        compress_stream(io.BytesIO(TEXT[:160]), sink, engine=engine_with(Faulty(wrong_step)), options=options)
    assert not [record for record in _records(sink) if isinstance(record, Block)]


def test_without_verification_it_is_written() -> None:
    """The fault is real: the test above would not fail without it."""
    assert compress(TEXT[:160], engine_with(Faulty(0)), verify=False)


@pytest.mark.parametrize("coding", [Coding.STORED, Coding.ZSTD, Coding.LZMA, Coding.BZ2])
def test_a_conventional_codec_that_fails(monkeypatch: pytest.MonkeyPatch, coding: Coding) -> None:
    """Broken payload bytes from any library are caught as well."""
    codecs = {
        Coding.STORED: conventional_block.stored,
        Coding.ZSTD: conventional_block.zstd_strong,
        Coding.LZMA: conventional_block.lzma_strong,
        Coding.BZ2: conventional_block.bz2_strong,
    }
    payload = bytearray(codecs[coding](TEXT)[1])
    payload[len(payload) // 2] ^= 1
    monkeypatch.setattr(block_encoding, "choose", lambda *arguments: Choice(coding, bytes(payload)))
    with pytest.raises(VerificationFailed, match=f"{coding.name.lower()} block"):
        compress(TEXT, fallback=True)


def test_a_correct_checksum_of_wrong_bytes_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """The comparison is with the original bytes, not with the header's checksum of them."""
    monkeypatch.setattr(block_encoding, "crc32", lambda raw: 0x12345678)
    with pytest.raises(VerificationFailed, match="CRC-32"):
        compress(TEXT)


def _records(sink: io.BytesIO) -> Iterator[object]:
    sink.seek(0)
    records = iter(ArchiveReader(sink))
    while True:
        try:
            yield next(records)
        except Exception:
            return
