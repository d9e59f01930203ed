"""Archives to accept, with blocks coded by a model or by their history; the model is a tiny one that they carry."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from tests.vectors.parts import (
    ALL_BYTES,
    BZ2,
    HISTORY,
    LZMA,
    MODEL,
    SAMPLES,
    TEXT,
    TRANSCODED,
    ZSTD,
    Vector,
    archive,
    around,
    coded,
    end,
    header,
    layout,
    model,
    parameters,
    stored,
    transcoding,
)
from tests.vectors.payloads import bzip2, lzma2_uncompressed, recorded, zstd_run

MODEL_FILE = "tiny-model"
MODEL_ID = bytes.fromhex("535813a9301c6932eb4bc0b925ebb390b9f5abc67ab4c7b08f0b49a059290043")
TABLE = b"".join(bytes([row, row * row % 256, 0, 255, 7 * row % 256, row % 3, 1]) for row in range(40))
PAGE = TEXT + b"The lazy dog sleeps; the quick brown fox does not.\n" + TEXT.upper() + TEXT
WAVE = b"".join(struct.pack("<h", 300 * abs(index % 34 - 17) + index % 3) for index in range(107))[:211]
SHADES = bytes(
    (2 * x + 3 * y + 11 * channel + (x * x * y + 5 * x + y * channel) * 37 % 61) // 2
    for y in range(44) for x in range(100) for channel in range(3)
)  # fmt: skip
BASES = b">id\n" + b"GATTACAGATTACAT\nGATTACAGATTACAT\ngattacagattacaN\nTAATCTGTAATCTGT\n" * 3
PROGRAM = b"".join(  # calls, each of 5 bytes behind 6 others, of five functions
    b"\x8b\x45" + bytes([8 + index % 3]) + b"\x83\xec\x18\xe8" + struct.pack("<i", 90 * (index % 5) - 11 * index)
    for index in range(40)
)
STRUCTURED = b"".join(
    b'{"id": %d, "of": [{"x": "a b"}, %d]}\n<a n="%d"><b>Ada</b><br/></a>\nok;%d\t| level=%d\n'
    % ((row, row * row) * 2 + (row % 5,))
    for row in range(12)
)


@dataclass(frozen=True)
class Predicted:
    """A block whose payload is recorded: its content and its coding parameters other than the usual ones."""

    name: str
    reason: str
    content: bytes
    fields: dict[str, int] = field(default_factory=dict)

    @property
    def file(self) -> str:
        return f"{self.name}.words"


@dataclass(frozen=True)
class Sampled:
    """A block of samples whose payload is recorded: kind, begin, length, row, sample and form."""

    name: str
    reason: str
    content: bytes
    layout: tuple[int, int, int, int, int, int]

    @property
    def file(self) -> str:
        return f"{self.name}.words"

    @property
    def fields(self) -> bytes:
        return layout(*self.layout)


HISTORY_BLOCKS = (
    Predicted("history-text", "by the history alone, contexts of text", PAGE, {"mixer": 1, "history": 12}),
    Predicted("history-rows", "rows of 7 bytes", TABLE, {"mixer": 1, "history": 13, "family": 1, "row": 7}),
    Predicted("history-row-1", "rows of 1 byte", ALL_BYTES, {"mixer": 1, "history": 12, "family": 1}),
    Predicted("history-lanes", "three lanes, 62 + 61 + 61 bytes", PAGE[:184], {"mixer": 1, "history": 14, "lanes": 3}),
    Predicted("history-lane-each", "a lane for every byte", TEXT, {"mixer": 1, "history": 12, "lanes": len(TEXT)}),
    Predicted("history-one-byte", "a single byte, eight decisions", b"a", {"mixer": 1, "history": 12}),
    Predicted("history-largest", "2^24 slots", TEXT, {"mixer": 1, "history": 24}),
    Predicted("history-full", "by mixer 2: JSON, XML, fields", STRUCTURED, {"mixer": 2, "history": 12}),
    Predicted(
        "history-full-rows", "by mixer 2, rows", TABLE, {"mixer": 2, "history": 13, "family": 1, "row": 7, "sample": 2}
    ),
    Predicted("history-full-code", "by mixer 2, a program", PROGRAM, {"mixer": 2, "history": 13, "family": 2}),
    Predicted("history-full-lanes", "by mixer 2, three lanes", STRUCTURED, {"mixer": 2, "history": 14, "lanes": 3}),
)
MODEL_BLOCKS = (
    Predicted("model-alone", "by the model alone, one lane", PAGE),
    Predicted("model-lanes", "by the model alone, five lanes of unequal size", PAGE[:93], {"lanes": 5}),
    Predicted("model-history", "the model with a history of text", PAGE, {"mixer": 1, "history": 12}),
    Predicted("model-full", "the model with mixer 2, two lanes", STRUCTURED, {"mixer": 2, "history": 12, "lanes": 2}),
    Predicted(
        "model-code", "the model, a program of two lanes", PROGRAM, {"mixer": 2, "history": 12, "family": 2, "lanes": 2}
    ),
    Predicted(
        "model-rows",
        "the model with a history of rows, two lanes",
        TABLE,
        {"mixer": 1, "history": 12, "family": 1, "row": 7, "lanes": 2},
    ),
)


SAMPLE_BLOCKS = (
    Sampled("samples-mono", "16-bit sound, between a header and a tail", WAVE, (1, 6, 200, 2, 2, 0)),
    Sampled("samples-stereo", "24-bit stereo, big-endian and unsigned", WAVE, (1, 0, 204, 6, 3, 3)),
    Sampled("samples-bytes", "8-bit unsigned sound", WAVE, (1, 3, 150, 1, 1, 2)),
    Sampled("samples-none", "a layout of no samples", WAVE, (1, 7, 0, 2, 2, 0)),
    Sampled("samples-gray", "a gray picture", TABLE, (2, 0, 280, 7, 1, 0)),
    Sampled("samples-rgb", "a picture of three colors, padded rows, a tail", TABLE, (2, 4, 272, 16, 3, 0)),
    Sampled("samples-rgba", "a picture of four channels, one pixel wide", TABLE, (2, 0, 280, 4, 4, 0)),
    Sampled("samples-shared", "contexts of a byte that share a slot", SHADES, (2, 0, len(SHADES), 300, 3, 0)),
    Sampled("samples-dna", "DNA with a name, lines, both cases and an N", BASES, (3, 0, len(BASES), 1, 1, 0)),
)


def predicted() -> Iterator[Vector]:
    """One archive for each recorded block, and some of several."""
    for sampled in SAMPLE_BLOCKS:
        data = around(coded(SAMPLES, sampled.content, recorded(sampled.file), sampled.fields), sampled.content)
        yield Vector(sampled.name, f"coding 7: {sampled.reason}", data, sampled.content)
    for block in HISTORY_BLOCKS:
        data = around(block_of(HISTORY, block), block.content)
        yield Vector(block.name, f"coding 5: {block.reason}", data, block.content)
    for block in MODEL_BLOCKS:
        body = tiny_model() + block_of(MODEL, block)
        yield Vector(block.name, f"coding 4: {block.reason}", around(body, block.content), block.content)
    yield from transcoded()
    yield every_coding()
    yield concatenated()


def transcoded() -> Iterator[Vector]:
    """Text of one byte a character, in the encodings in which each character has two, and in GB18030."""
    block, text = HISTORY_BLOCKS[0], PAGE
    little, big = text.decode().encode("utf-16-le"), text.decode().encode("utf-16-be")
    for name, encoding, raw, ends in (
        ("transcoded-gb18030", 1, text, (0, 0)),
        ("transcoded-utf16-le", 2, little, (0, 0)),
        ("transcoded-utf16-be", 3, big, (0, 0)),
        ("transcoded-cut", 2, text[:1] + little[2:-6] + text[-3:], (1, 3)),
    ):
        fields = transcoding(encoding, len(text), *ends) + parameters(**block.fields)
        data = around(coded(TRANSCODED, raw, recorded(block.file), fields), raw)
        yield Vector(name, f"coding 6: encoding {encoding}, head and tail of {ends[0]} and {ends[1]} bytes", data, raw)


def every_coding() -> Vector:
    """Codings 0 to 5 and both kinds of model-coded block in one archive of unknown size."""
    run, text = bytes([7]) * 1000, TEXT * 9
    alone, joined, history = MODEL_BLOCKS[0], MODEL_BLOCKS[2], HISTORY_BLOCKS[0]
    body = (
        tiny_model()
        + stored(ALL_BYTES)
        + coded(ZSTD, run, zstd_run(7, len(run)))
        + coded(LZMA, TEXT, lzma2_uncompressed(TEXT))
        + coded(BZ2, text, bzip2(text))
        + block_of(MODEL, alone)
        + block_of(HISTORY, history)
        + block_of(MODEL, joined)
    )
    content = ALL_BYTES + run + TEXT + text + alone.content + history.content + joined.content
    data = header(None) + body + end(content, len(content))
    return Vector("every-coding", "all six codings, size unknown", data, content)


def concatenated() -> Vector:
    """Three archives: a model in the first, none in the others."""
    first, second = MODEL_BLOCKS[1], HISTORY_BLOCKS[1]
    data = (
        around(tiny_model() + block_of(MODEL, first), first.content)
        + around(block_of(HISTORY, second), second.content)
        + archive(b"last")
    )
    content = first.content + second.content + b"last"
    return Vector("concatenated-predicted", "three archives, coded by model, history and not at all", data, content)


def block_of(coding: int, block: Predicted) -> bytes:
    return coded(coding, block.content, recorded(block.file), parameters(**block.fields))


def tiny_model() -> bytes:
    return model(recorded(MODEL_FILE), model_id=MODEL_ID)
