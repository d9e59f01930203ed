"""Archives to refuse although they are intact: of another version or method, or over a default limit."""

from collections.abc import Iterator

from tests.vectors.parts import (
    MIB,
    MODEL,
    MODEL_ID,
    SAMPLES,
    TRANSCODED,
    ZSTD,
    Vector,
    around,
    check,
    coded,
    end,
    header,
    header_of,
    layout,
    model,
    modeled,
    parameters,
    record,
    stored,
    transcoding,
    varint,
)
from tests.vectors.payloads import zstd_run


def unsupported() -> Iterator[Vector]:
    yield Vector("major-version", "format version 1.0", header_of(b"\x01\0\0\x01") + end(b"", 0))
    yield Vector("minor-version", "format version 0.2", header_of(b"\0\x02\0\x01") + end(b"", 0))
    yield Vector("reserved-flag", "flag bit 1 set", header_of(b"\0\x01\x02\x01") + end(b"", 0))
    yield Vector(
        "record-type", "a record of type I", around(record(b"I", varint(5), b"index") + stored(b"raw"), b"raw")
    )
    yield Vector("coding-8", "coding 8", around(coded(8, b"raw", b"word"), b"raw"))
    kind_4 = coded(SAMPLES, b"raw", b"word", layout(4, 0, 3, 1, 1))
    yield Vector("samples-kind", "samples of kind 4", around(kind_4, b"raw"))
    for name, reason, fields in (
        ("encoding", "encoding 4", transcoding(4, 3)),
        ("twice", "the text is of coding 6, too", transcoding(1, 3, coding=TRANSCODED)),
    ):
        body = coded(TRANSCODED, b"raw", b"word", fields + parameters(mixer=1, history=12))
        yield Vector(f"transcoding-{name}", f"coding 6: {reason}", around(body, b"raw"))
    for name, values in {
        "coder": parameters(coder=2),
        "precision": parameters(precision=33),
        "probability-bits": parameters(probability_bits=0),
        "mixer": parameters(mixer=3),
        "mixer-family": parameters(mixer=2, history=12, family=3),
        "sample": parameters(mixer=2, history=12, family=1, row=4, sample=0),
        "sample-large": parameters(mixer=2, history=12, family=1, row=4, sample=5),
        "history": parameters(history=22),
        "history-small": parameters(mixer=1, history=11),
        "history-large": parameters(mixer=1, history=25),
        "family": parameters(mixer=1, history=12, family=2),
        "row": parameters(mixer=1, history=12, row=0),
        "row-large": parameters(mixer=1, history=12, row=65_536),
    }.items():
        body = coded(MODEL, b"raw", b"word", values)
        yield Vector(f"parameter-{name}", f"unknown value of the coding parameter {name}", modeled(body))


def over_a_limit() -> Iterator[Vector]:
    yield Vector("block-size", "block size 16 MiB + 1", header(0, 16 * MIB + 1) + end(b""))
    payload = record(b"B", varint(32 * MIB + 1) + bytes([ZSTD]) + varint(3) + check(b"raw"))
    yield Vector("payload", "a payload of 32 MiB + 1 is declared, nothing follows", header(3) + payload)
    lanes = coded(MODEL, bytes(5000), b"word", parameters(lanes=4097))
    yield Vector("lanes", "4097 lanes", header(5000) + model() + lanes)
    yield Vector(
        "model-file",
        "a model file of 4 GiB + 1 is declared",
        header(3) + record(b"M", varint((4 << 30) + 1) + MODEL_ID + bytes(4)),
    )
    block = bytes(16 * MIB)
    bomb = coded(ZSTD, block, zstd_run(0, len(block)))
    yield Vector("output", "1 GiB and 16 MiB of zeros in 35 KiB", header(None, 16 * MIB) + bomb * 65)
