"""Text in GB18030 and UTF-16 is coded as UTF-8, and its bytes come back."""

import contextlib
import io
import random
import struct
from importlib import resources

import pytest
from hypothesis import given
from hypothesis import strategies as st

import zipllm
from zipllm.codec.block.predicted_block import encode_history_block
from zipllm.codec.block.transcoding import find_transcoding, restore, transcode
from zipllm.codec.block_decoding import decode_block
from zipllm.container import Block, BlockHeader, Coding, CodingParameters, scan
from zipllm.container.block import ENCODINGS, Transcoding
from zipllm.errors import CorruptData, ZipllmError

EVERY_CHARACTER = "".join(map(chr, [*range(0xD800), *range(0xE000, 0x110000)]))
CHINESE = resources.files("zipllm.data").joinpath("samples/chinese.txt").read_text(encoding="utf-8") + "𠀀é\n"


def blocks_of(archive: bytes) -> list[BlockHeader]:
    return [item.record for item in scan(io.BytesIO(archive)) if isinstance(item.record, BlockHeader)]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_character_is_encoded_as_python_does(encoding: int) -> None:
    expected = EVERY_CHARACTER.encode(ENCODINGS[encoding])
    assert restore(EVERY_CHARACTER.encode(), Transcoding(encoding, 0, 0, 0)) == expected


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("begin", range(4))
@pytest.mark.parametrize("end", range(4))
def test_a_block_cut_anywhere_is_recognized(encoding: int, begin: int, end: int) -> None:
    raw = CHINESE.encode(ENCODINGS[encoding])
    raw = raw[begin : len(raw) - end]
    found = find_transcoding(raw)
    assert found is not None
    transcoding, text = found
    assert transcoding.encoding == encoding
    assert transcoding.size == len(text)
    assert transcode(raw, transcoding) == text
    assert restore(text, transcoding) == raw


@given(st.one_of(st.binary(), st.text().map(lambda text: text.encode("gb18030", "ignore"))))
def test_what_is_found_restores_the_block(raw: bytes) -> None:
    found = find_transcoding(raw)
    assert found is None or restore(found[1], found[0]) == raw


@pytest.mark.parametrize(
    "raw", [b"", b"a", b"plain ASCII", CHINESE.encode(), CHINESE.encode()[1:-1], random.Random(1).randbytes(4000)]
)
def test_other_data_stay_as_they_are(raw: bytes) -> None:
    assert find_transcoding(raw) is None


@pytest.mark.parametrize("encoding", ["gb18030", "utf-16", "utf-16-be"])
def test_blocks_of_an_archive_are_transcoded_and_restored(encoding: str) -> None:
    raw = CHINESE.encode(encoding)
    archive = zipllm.compress(raw, level=5, block_size=1501)
    assert zipllm.decompress(archive) == raw
    first = blocks_of(archive)[0].transcoding
    assert first is not None
    assert encoding.startswith(first.name[:6])


def test_sound_is_not_text() -> None:
    """Quiet sound of 16 bits decodes as UTF-16; the history finds that UTF-8 does not help."""
    source = random.Random(3)
    sound = struct.pack("<8000h", *(source.randrange(1, 300) for _ in range(8000)))
    assert find_transcoding(sound) is not None
    (header,) = blocks_of(zipllm.compress(sound, level=3))
    assert header.transcoding is None


@pytest.mark.parametrize("text", [b"ab\xff\xfe", b"\xed\xa0\x80a"])
def test_text_that_is_not_utf8_is_damage(text: bytes) -> None:
    with pytest.raises(CorruptData, match="not UTF-8"):
        restore(text, Transcoding(1, 0, 0, len(text)))


def test_damage_of_a_transcoded_block() -> None:
    raw = CHINESE[:200].encode("gb18030")
    archive = zipllm.compress(raw, level=3)
    source = random.Random(2)
    for _ in range(60):
        bit = source.randrange(8 * len(archive))
        damaged = bytearray(archive)
        damaged[bit // 8] ^= 1 << bit % 8
        with contextlib.suppress(ZipllmError):
            assert zipllm.decompress(bytes(damaged)) == raw


def test_an_intact_block_whose_text_is_of_another_size_is_damage() -> None:
    text = "学而".encode()
    parameters = CodingParameters(1, 24, mixer=1, history=12)
    payload = encode_history_block(text, parameters, None)
    header = BlockHeader(Coding.HISTORY, 5, len(payload), 0, parameters, Transcoding(1, 0, 0, len(text)))
    with pytest.raises(CorruptData, match="5 bytes decoded to 4 bytes"):
        decode_block(Block(header, payload), None, None)
