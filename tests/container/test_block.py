"""Records, field by field: BLOCK, MODEL and END."""

import hashlib
import struct
from zlib import crc32

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.container.archives import LOCAL, MODEL_ID, archive, archive_of, modeled, records, stored
from zipllm.container import (
    ArchiveHeader,
    Block,
    BlockHeader,
    Coding,
    CodingParameters,
    ContentHash,
    End,
    ModelHeader,
    ModelRecord,
    check_block,
)
from zipllm.container.block import ENCODINGS, PREDICTED, TRANSCODED, Transcoding
from zipllm.container.record import encode_varint, parse_frame, seal
from zipllm.container.samples import DNA, MOST_ROW, PICTURE, SOUND, Layout
from zipllm.errors import CorruptData, UnsupportedData, UsageError

HEADER = ArchiveHeader(1 << 20).encode()
CRC = struct.pack("<I", crc32(b"raw"))


def record(kind: str, fields: bytes, size: int | None = None) -> bytes:
    """A record header of these fields with a right CRC-32, after an archive header."""
    return HEADER + seal(kind.encode() + bytes([len(fields) if size is None else size]) + fields)


def parameters(**changed: int) -> bytes:
    values = {"coder": 1, "precision": 24, "probability_bits": 24, "mixer": 0, "history": 0} | changed
    return bytes(values.values()) + b"\x01"


def test_stored_layout() -> None:
    encoded = stored(b"raw").header.encode()
    assert encoded[:4] == b"B\x06\x03\x00"
    assert encoded[4:8] == CRC
    assert encoded == seal(encoded[:8])


def test_model_coded_layout() -> None:
    parameters = CodingParameters(lanes=300, probability_bits=23, precision=22)
    encoded = BlockHeader(Coding.MODEL, 1000, 5, 0x01020304, parameters).encode()
    assert encoded[:3] == b"B\x0f\x05"
    assert encoded[3] == Coding.MODEL
    assert encoded[4:6] == encode_varint(1000)
    assert encoded[6:10] == b"\x04\x03\x02\x01"
    assert encoded[10:15] == bytes([1, 22, 23, 0, 0])
    assert encoded[15:17] == encode_varint(300)
    assert encoded == seal(encoded[:17])


@pytest.mark.parametrize("size", [1, 127, 128, 1 << 14, 1 << 20, (1 << 24) - 1, 1 << 24])
def test_stored_overhead(size: int) -> None:
    assert len(BlockHeader(Coding.STORED, size, size, 0).encode()) <= 15


@st.composite
def layouts(draw: st.DrawFn, size: int) -> Layout:
    """A layout that fits a block of ``size`` bytes."""
    sound, begin = draw(st.booleans()), draw(st.integers(0, size))
    sample = draw(st.sampled_from([1, 2, 3] if sound else [1, 3, 4]))
    row = sample * draw(st.integers(1, 2)) if sound else draw(st.integers(sample, MOST_ROW))
    length = draw(st.integers(0, (size - begin) // row)) * row
    form = draw(st.sampled_from([0, 2] if sample == 1 else [0, 1, 2, 3])) if sound else 0
    return Layout(SOUND if sound else PICTURE, begin, length, row, sample, form)


@st.composite
def block_headers(draw: st.DrawFn) -> BlockHeader:
    coding = draw(st.sampled_from(Coding))
    raw_size = draw(st.integers(1, 1 << 40))
    payload_size = raw_size if coding == Coding.STORED else draw(st.integers(0, 1 << 40))
    bits = st.integers(1, 32)
    mixer, family = draw(st.sampled_from([(1, 0), (1, 1), (2, 0), (2, 1), (2, 2)]))
    mixed = {"mixer": mixer, "history": draw(st.integers(12, 24)), "family": family}
    mixed["row"] = draw(st.integers(1, 65_535))
    mixed["sample"] = draw(st.integers(1, 4)) if (mixer, family) == (2, 1) else 1
    adaptive = mixed if coding == Coding.HISTORY or draw(st.booleans()) else {}
    check = draw(st.integers(0, (1 << 32) - 1))
    if coding is Coding.SAMPLES:
        return BlockHeader(coding, raw_size, payload_size, check, layout=draw(layouts(raw_size)))
    if coding not in PREDICTED:
        return BlockHeader(coding, raw_size, payload_size, check)
    head = draw(st.integers(0, min(3, raw_size)))
    tail = draw(st.integers(0, min(3, raw_size - head)))
    text = Transcoding(draw(st.sampled_from(sorted(ENCODINGS))), head, tail, draw(st.integers(raw_size, 2 * raw_size)))
    parameters = CodingParameters(draw(st.integers(1, raw_size)), draw(bits), precision=draw(bits), **adaptive)
    return BlockHeader(coding, raw_size, payload_size, check, parameters, text if draw(st.booleans()) else None)


@given(block_headers())
def test_block_round_trip(header: BlockHeader) -> None:
    kind, fields = parse_frame(header.encode())
    assert kind.name == "BLOCK"
    assert BlockHeader.parse(fields) == header


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((Coding.STORED, 0, 0, 0), "at least 1"),
        ((Coding.ZSTD, 1, -1, 0), "payload has -1 bytes"),
        ((Coding.STORED, 2, 3, 0), "payload of 3 bytes"),
        ((Coding.ZSTD, 1, 1, 1 << 32), "does not fit 32 bits"),
        ((Coding.MODEL, 1, 1, 0), "coding parameters belong"),
        ((Coding.ZSTD, 1, 1, 0, CodingParameters(1, 24)), "coding parameters belong"),
        ((Coding.MODEL, 1, 1, 0, CodingParameters(2, 24)), "has 2 lanes"),
        ((Coding.MODEL, 1, 1, 0, CodingParameters(0, 24)), "has 0 lanes"),
        ((Coding.HISTORY, 1, 1, 0), "coding parameters belong"),
        ((Coding.HISTORY, 1, 1, 0, CodingParameters(1, 24)), "no mixer"),
        ((Coding.ZSTD, 9, 1, 0, None, Transcoding(1, 0, 0, 9)), "only predicted blocks"),
        ((Coding.SAMPLES, 9, 1, 0), "layout belongs"),
        ((Coding.ZSTD, 9, 1, 0, None, None, Layout(SOUND, 0, 8, 2, 2)), "layout belongs"),
        ((Coding.SAMPLES, 9, 1, 0, None, Transcoding(1, 0, 0, 9), Layout(SOUND, 0, 8, 2, 2)), "only predicted"),
        ((Coding.SAMPLES, 9, 1, 0, CodingParameters(1, 24), None, Layout(SOUND, 0, 8, 2, 2)), "parameters belong"),
        ((Coding.MODEL, 9, 1, 0, CodingParameters(1, 24), Transcoding(1, 4, 0, 9)), "longer than a character"),
        ((Coding.MODEL, 4, 1, 0, CodingParameters(1, 24), Transcoding(1, 3, 2, 4)), "longer than a character"),
        ((Coding.MODEL, 9, 1, 0, CodingParameters(1, 24), Transcoding(1, 0, 0, 19)), "19 bytes of UTF-8"),
        ((Coding.MODEL, 9, 1, 0, CodingParameters(1, 24), Transcoding(1, 0, 0, 4)), "4 bytes of UTF-8"),
        ((Coding.MODEL, 9, 1, 0, CodingParameters(13, 24), Transcoding(1, 0, 0, 12)), "of 12 bytes has 13 lanes"),
    ],
)
def test_contradictions_cannot_be_built(arguments: tuple[Coding, int, int, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        BlockHeader(*arguments)


@pytest.mark.parametrize(
    "changed",
    [
        {"probability_bits": 0},
        {"probability_bits": 33},
        {"precision": 0},
        {"precision": 33},
        {"coder": 0},
        {"coder": 2},
        {"mixer": 3},
        {"history": 1},
        {"mixer": 1, "history": 11},
        {"mixer": 1, "history": 25},
        {"family": 2},
        {"family": 1},
        {"mixer": 1, "history": 12, "family": 2},
        {"mixer": 2, "history": 12, "family": 3},
        {"mixer": 2, "history": 12, "family": 1, "sample": 0},
        {"mixer": 2, "history": 12, "family": 1, "sample": 5},
        {"mixer": 2, "history": 12, "family": 2, "sample": 2},
        {"mixer": 1, "history": 12, "family": 1, "sample": 2},
        {"row": 0},
        {"row": 65_536},
    ],
)
def test_parameters_out_of_range(changed: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=list(changed)[-1]):
        CodingParameters(**{"lanes": 1, "probability_bits": 24} | changed)


@pytest.mark.parametrize("name", ["coder", "precision", "probability_bits", "mixer", "history"])
def test_unknown_parameter_is_unsupported(name: str) -> None:
    data = record("B", b"\x00\x04\x03" + CRC + parameters(**{name: 77}))
    with pytest.raises(UnsupportedData, match=f"{name} is 77"):
        records(data)


@pytest.mark.parametrize(
    "layout",
    [
        Layout(SOUND, 0, 10, 2, 2),
        Layout(SOUND, 2, 8, 2, 2),
        Layout(SOUND, -1, 8, 2, 2),
        Layout(SOUND, 0, -2, 2, 2),
        Layout(SOUND, 0, 7, 2, 2),
        Layout(SOUND, 0, 6, 6, 2),
        Layout(SOUND, 0, 8, 4, 4),
        Layout(SOUND, 0, 8, 2, 2, 4),
        Layout(SOUND, 0, 8, 1, 1, 1),
        Layout(SOUND, 0, 0, 0, 2),
        Layout(PICTURE, 0, 8, 2, 2),
        Layout(PICTURE, 0, 8, 2, 3),
        Layout(PICTURE, 0, 8, 4, 4, 1),
        Layout(PICTURE, 0, 0, MOST_ROW + 1, 1),
        Layout(4, 0, 8, 2, 2),
        Layout(DNA, 0, 8, 1, 1),
        Layout(DNA, 0, 9, 1, 1, 1),
    ],
)
def test_layouts_that_do_not_fit(layout: Layout) -> None:
    assert not layout.fits(9)
    with pytest.raises(UsageError, match="cannot have the layout"):
        BlockHeader(Coding.SAMPLES, 9, 1, 0, layout=layout)


def test_unknown_kind_of_samples_is_unsupported() -> None:
    data = record("B", b"\x00\x07\x09" + CRC + b"\x09\x00\x08\x02\x02\x00")
    with pytest.raises(UnsupportedData, match="unknown kind 9"):
        records(data)


@pytest.mark.parametrize("code", [8, 9, 255])
def test_unknown_coding_is_unsupported(code: int) -> None:
    with pytest.raises(UnsupportedData, match=f"unknown method {code}"):
        records(record("B", bytes([0, code, 3]) + CRC))


@pytest.mark.parametrize(
    ("encoding", "code", "message"),
    [(0, 4, "unknown encoding 0"), (4, 4, "unknown encoding 4"), (1, TRANSCODED, "unknown method 6")],
)
def test_unknown_transcoding_is_unsupported(encoding: int, code: int, message: str) -> None:
    fields = bytes([0, TRANSCODED, 3]) + CRC + bytes([encoding, 0, 0, 3, code])
    with pytest.raises(UnsupportedData, match=message):
        records(record("B", fields + parameters()))


@pytest.mark.parametrize("kind", ["A", "b", "\x00", "\x7f"])
def test_unknown_record_is_unsupported(kind: str) -> None:
    with pytest.raises(UnsupportedData, match=f"unknown type 0x{ord(kind):02x}"):
        records(record(kind, b"\x00"))


def test_message_names_the_place() -> None:
    with pytest.raises(UnsupportedData, match=f"record at byte {len(HEADER)}"):
        records(record("?", b"\x00"))


@pytest.mark.parametrize("kind", ["B", "M", "E"])
def test_no_fields(kind: str) -> None:
    with pytest.raises(CorruptData, match="'payload size' is cut off"):
        records(record(kind, b""))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        ("B", b"\x03\x00" + CRC + b"\x00"),
        ("M", b"\x00" + bytes(32 + 4) + b"\x00"),
        ("E", b"\x02\x00" + bytes(32) + b"\x00"),
    ],
)
def test_field_too_many(kind: str, fields: bytes) -> None:
    with pytest.raises(CorruptData, match="1 bytes more than its fields need"):
        records(record(kind, fields) + bytes(9))


@pytest.mark.parametrize(
    ("kind", "fields"), [("B", b"\x03\x00" + CRC[:3]), ("M", bytes(36)), ("E", b"\x02\x00" + bytes(31))]
)
def test_field_cut_off(kind: str, fields: bytes) -> None:
    with pytest.raises(CorruptData, match="is cut off"):
        records(record(kind, fields) + bytes(9))


def test_empty_block_is_damage() -> None:
    with pytest.raises(CorruptData, match="must have at least 1"):
        records(record("B", b"\x00\x00" + CRC))


@pytest.mark.parametrize("lanes", [0, 4])
def test_more_lanes_than_bytes_or_none_is_damage(lanes: int) -> None:
    with pytest.raises(CorruptData, match=f"has {lanes} lanes"):
        records(record("B", b"\x00\x04\x03" + CRC + parameters()[:-1] + bytes([lanes])))


def test_size_not_in_shortest_form() -> None:
    with pytest.raises(CorruptData, match="'payload size' is not in its shortest form"):
        records(record("B", b"\x83\x00\x00" + CRC) + b"raw")


def test_model_layout() -> None:
    assert ModelHeader(MODEL_ID).encode() == seal(b"M\x25\x00" + MODEL_ID + bytes(4))
    expected = seal(b"M\x25\x04" + MODEL_ID + struct.pack("<I", crc32(b"file")))
    assert ModelRecord(MODEL_ID, b"file").header().encode() == expected


@pytest.mark.parametrize("model", [ModelRecord(MODEL_ID), ModelRecord(MODEL_ID, b"a model file"), LOCAL])
def test_model_round_trip(model: ModelRecord) -> None:
    block = modeled(b"raw", b"words")
    assert records(archive([block], b"raw", model))[1:3] == [model, block]


@pytest.mark.parametrize("model_id", [b"", bytes(31), bytes(33)])
def test_model_id_of_wrong_length(model_id: bytes) -> None:
    with pytest.raises(UsageError, match="32 bytes"):
        ModelRecord(model_id).header()


def test_empty_model_file_cannot_be_embedded() -> None:
    with pytest.raises(UsageError, match="is empty"):
        ModelRecord(MODEL_ID, b"").header()


def test_check_without_model_file_is_damage() -> None:
    with pytest.raises(CorruptData, match="without a model file"):
        records(record("M", b"\x00" + MODEL_ID + b"\x01\x00\x00\x00"))


def test_damaged_model_file() -> None:
    data = archive([modeled(b"raw", b"words")], b"raw", ModelRecord(MODEL_ID, b"a model file"))
    with pytest.raises(CorruptData, match="embedded model file is damaged"):
        records(data.replace(b"a model file", b"a model f1le"))


def test_end_states_the_size_only_if_the_header_does_not() -> None:
    digest = hashlib.sha256(b"raw").digest()
    assert archive_of(b"raw", known=True).endswith(seal(b"E\x21\x02" + digest) + b"\x5a\x89")
    assert archive_of(b"raw", known=False).endswith(seal(b"E\x22\x02\x03" + digest) + b"\x5a\x89")


@pytest.mark.parametrize("known", [True, False])
def test_end_round_trip(known: bool) -> None:
    assert records(archive_of(b"raw", known=known))[-1] == End(3, hashlib.sha256(b"raw").digest())


@pytest.mark.parametrize("size", [0, 1, 3])
def test_end_with_payload_of_wrong_size(size: int) -> None:
    with pytest.raises(CorruptData, match="payload of an END record"):
        records(record("E", bytes([size, 0]) + bytes(32)) + b"\x5a\x89\x00")


def test_end_marker_damaged() -> None:
    with pytest.raises(CorruptData, match="end marker is damaged: 5a 88"):
        records(archive_of(b"raw")[:-1] + b"\x88")


def test_end_values_out_of_range() -> None:
    with pytest.raises(UsageError, match="SHA-256 has 32 bytes"):
        End(0, b"")
    with pytest.raises(UsageError, match="original size is -1"):
        End(-1, bytes(32))


def test_block_check() -> None:
    header = stored(b"raw").header
    check_block(header, b"raw")
    with pytest.raises(CorruptData, match="decoded to 2 bytes"):
        check_block(header, b"ra")
    with pytest.raises(CorruptData, match="decoded to CRC-32"):
        check_block(header, b"rav")


def test_content_check() -> None:
    content = ContentHash()
    content.update(b"ra")
    content.update(memoryview(b"w"))
    content.check(End(3, hashlib.sha256(b"raw").digest()))
    with pytest.raises(CorruptData, match="3 bytes were decoded"):
        content.check(End(4, content.digest()))
    with pytest.raises(CorruptData, match="content is damaged"):
        content.check(End(3, bytes(32)))


def test_blocks_are_values() -> None:
    assert stored(b"raw") == Block(BlockHeader(Coding.STORED, 3, 3, crc32(b"raw")), b"raw")
