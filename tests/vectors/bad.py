"""Archives to refuse as damaged."""

from collections.abc import Iterator

from tests.vectors.good_predicted import HISTORY_BLOCKS, SAMPLE_BLOCKS
from tests.vectors.parts import (
    BZ2,
    HISTORY,
    KIB,
    LZMA,
    MAGIC,
    MIB,
    MODEL,
    MODEL_ID,
    SAMPLES,
    STORED,
    TEXT,
    TRANSCODED,
    ZSTD,
    Vector,
    archive,
    around,
    check,
    coded,
    end,
    header,
    header_of,
    layout,
    local,
    model,
    modeled,
    parameters,
    record,
    stored,
    transcoding,
    varint,
)
from tests.vectors.payloads import bzip2, lzma2_uncompressed, recorded, zstd_run


def bad() -> Iterator[Vector]:
    """Header, records, blocks, payloads, models, end."""
    yield from bad_headers()
    yield from bad_frames()
    yield from bad_blocks()
    yield from bad_payloads()
    yield from bad_models()
    yield from bad_predictions()
    yield from bad_samples()
    yield from bad_transcodings()
    yield from bad_ends()


def bad_headers() -> Iterator[Vector]:
    whole = archive(TEXT)
    rest = whole[len(header(len(TEXT))) :]
    yield Vector("nothing", "no bytes at all", b"")
    yield Vector("text", "a text file", TEXT)
    yield Vector("magic", "first byte of the magic is 88", b"\x88" + whole[1:])
    yield Vector("magic-7-bit", "eighth bit of all bytes cleared", bytes(byte & 0x7F for byte in whole))
    yield Vector("magic-unix-line-ends", "CR LF became LF", whole.replace(b"\r\n", b"\n"))
    yield Vector("magic-dos-line-ends", "LF became CR LF", whole.replace(b"\n", b"\r\n"))
    yield Vector("header-check", "CRC-32 of the header is wrong", whole[:16] + bytes([whole[16] ^ 1]) + whole[17:])
    yield Vector("header-version-damaged", "version 1.0 by a flipped bit: damage, not a version", flip(whole, 9, 1))
    yield Vector("header-size-small", "header size 16", header_of(b"\0\x01\0\x01", 16) + rest)
    yield Vector("header-size-large", "header size 255, the file is shorter", header_of(b"\0\x01\0\x01", 255) + rest)
    yield Vector("header-extra-byte", "a byte after the last field", header_of(b"\0\x01\0\x01\0") + end(b"", 0))
    yield Vector(
        "header-no-size", "flag says that the size is known, it is missing", header_of(b"\0\x01\x01\x01") + end(b"")
    )
    yield Vector("header-block-size-0", "block size 0", header_of(b"\0\x01\0\0") + end(b"", 0))
    yield Vector("header-varint", "block size 1 in two bytes", header_of(b"\0\x01\0\x81\0") + end(b"", 0))
    yield Vector(
        "header-varint-long", "block size of ten bytes", header_of(b"\0\x01\0" + b"\x80" * 9 + b"\x01") + end(b"", 0)
    )
    yield Vector("header-truncated", "ends in the header", whole[:12])
    yield Vector("header-alone", "ends after the header", header(0))


def bad_frames() -> Iterator[Vector]:
    whole = archive(TEXT)
    start = len(header(len(TEXT)))
    yield Vector("record-check", "CRC-32 of a record header is wrong", flip(whole, start + 2, 1))
    yield Vector("record-type-damaged", "unknown type by a flipped bit: damage", flip(whole, start, 1))
    yield Vector("record-truncated", "ends in a record header", whole[: start + 5])
    fields = varint(3) + bytes([STORED]) + check(b"raw")
    yield Vector(
        "record-extra-field", "a byte after the last field", around(record(b"B", fields + b"\0", b"raw"), b"raw")
    )
    yield Vector("record-short", "the last field is cut off", around(record(b"B", fields[:-1], b"raw"), b"raw"))
    yield Vector("record-no-fields", "no fields at all", around(record(b"B", b""), b""))
    fields = varint(3, longer_by=1) + bytes([STORED]) + check(b"raw")
    yield Vector("record-varint", "payload size 3 in two bytes", around(record(b"B", fields, b"raw"), b"raw"))


def bad_blocks() -> Iterator[Vector]:
    whole = archive(b"first", b"other")
    first, second = stored(b"first"), stored(b"other")
    yield Vector("block-empty", "a stored block without bytes", around(stored(b""), b""))
    yield Vector("block-empty-coded", "a zstd block without original bytes", around(coded(ZSTD, b"", b"\0"), b""))
    large = header(3, 2) + stored(b"raw") + end(b"raw")
    yield Vector("block-over-block-size", "3 bytes, the header allows 2", large)
    yield Vector("block-missing-first", "first of two blocks missing", whole.replace(first, b""))
    yield Vector("block-missing-last", "last of two blocks missing", whole.replace(second, b""))
    yield Vector("block-missing-unknown-size", "as before, size in END", header(None) + first + end(b"firstother", 10))
    yield Vector("block-duplicated", "first block twice", whole.replace(first, first + first))
    yield Vector("block-swapped", "two blocks of equal size exchanged", whole.replace(first + second, second + first))
    fields = varint(3) + bytes([STORED]) + check(b"row")
    yield Vector("block-check", "CRC-32 of the block is wrong", around(record(b"B", fields, b"raw"), b"raw"))
    yield Vector("block-payload", "a bit of the payload flipped", whole.replace(b"first", b"fir3t"))
    yield Vector("block-truncated", "ends inside of a payload", whole[: whole.index(b"first") + 2])


def bad_payloads() -> Iterator[Vector]:
    run = bytes(1000)
    zstd, bzip, lzma = zstd_run(0, 1000), bzip2(TEXT), lzma2_uncompressed(TEXT)
    yield Vector("zstd-short", "999 of 1000 bytes", around(coded(ZSTD, run, zstd_run(0, 999)), run))
    yield Vector("zstd-long", "1001 of 1000 bytes", around(coded(ZSTD, run, zstd_run(0, 1001)), run))
    yield Vector(
        "zstd-bomb", "64 MiB where 1000 bytes are declared", around(coded(ZSTD, run, zstd_run(0, 64 * MIB)), run)
    )
    yield Vector("zstd-trailing", "a byte after the frame", around(coded(ZSTD, run, zstd + b"\0"), run))
    yield Vector("zstd-two-frames", "two frames", around(coded(ZSTD, run + run, zstd + zstd), run + run))
    yield Vector("zstd-truncated", "the frame is cut off", around(coded(ZSTD, run, zstd[:-1]), run))
    yield Vector("zstd-garbage", "not a zstd frame", around(coded(ZSTD, run, TEXT), run))
    yield Vector("lzma-truncated", "the end marker is missing", around(coded(LZMA, TEXT, lzma[:-1]), TEXT))
    yield Vector("lzma-trailing", "a byte after the end marker", around(coded(LZMA, TEXT, lzma + b"\0"), TEXT))
    yield Vector("lzma-garbage", "not an LZMA2 stream", around(coded(LZMA, TEXT, b"\xff" + lzma[1:]), TEXT))
    yield Vector("bz2-truncated", "the stream is cut off", around(coded(BZ2, TEXT, bzip[:-1]), TEXT))
    yield Vector("bz2-trailing", "a byte after the stream", around(coded(BZ2, TEXT, bzip + b"\0"), TEXT))
    yield Vector("bz2-two-streams", "two streams", around(coded(BZ2, TEXT + TEXT, bzip + bzip), TEXT + TEXT))
    yield Vector("bz2-empty", "no payload", around(coded(BZ2, TEXT, b""), TEXT))


def bad_models() -> Iterator[Vector]:
    block = coded(MODEL, b"raw", b"word", parameters())
    yield Vector("model-missing", "a model-coded block without a MODEL record", around(block, b"raw"))
    yield Vector("model-after", "MODEL after the first model-coded block", around(block + model(), b"raw"))
    yield Vector("model-twice", "two MODEL records", around(model() + model() + stored(b"raw"), b"raw"))
    yield Vector(
        "model-check", "the embedded model file is damaged", around(model(b"file", bytes(4)) + stored(b"raw"), b"raw")
    )
    yield Vector(
        "model-check-of-nothing", "a check, but no model file", around(model(b"", b"\1\0\0\0") + stored(b"raw"), b"raw")
    )
    yield Vector("model-truncated", "ends inside of the model file", header(3) + model(b"file" * 100)[:-1])
    yield Vector("local-empty", "LOCAL without a description", around(local(b"") + stored(b"raw"), b"raw"))
    long = record(b"L", varint(64 * KIB) + MODEL_ID + bytes(4))
    yield Vector("local-long", "a description of 64 KiB is declared, nothing follows", header(3) + long)
    yield Vector(
        "local-check", "the description is damaged", around(local(b"{}", crc=bytes(4)) + stored(b"raw"), b"raw")
    )
    yield Vector(
        "local-id", "the model_id is of another description", around(local(b"{}", MODEL_ID) + stored(b"raw"), b"raw")
    )
    yield Vector("local-and-model", "LOCAL and MODEL", around(local(b"{}") + model() + stored(b"raw"), b"raw"))
    yield Vector("local-truncated", "ends inside of the description", header(3) + local(b'{"threads":1}')[:-1])
    no_lanes = coded(MODEL, b"raw", b"word", parameters(lanes=0))
    yield Vector("model-lanes-0", "no lanes", modeled(no_lanes))
    yield Vector(
        "model-lanes-4", "four lanes for three bytes", modeled(coded(MODEL, b"raw", b"word", parameters(lanes=4)))
    )
    yield Vector(
        "history-no-mixer",
        "a block of coding 5 without a mixer",
        around(coded(HISTORY, b"raw", b"word", parameters()), b"raw"),
    )
    adaptive = parameters(mixer=1, history=12)
    yield Vector(
        "history-payload",
        "words of coding 5 that nothing codes to",
        around(coded(HISTORY, b"raw", b"word", adaptive), b"raw"),
    )
    yield Vector(
        "model-no-parameters", "a model-coded block without parameters", modeled(coded(MODEL, b"raw", b"word"))
    )


def bad_predictions() -> Iterator[Vector]:
    """Payloads of coding 5 that are nearly right."""
    block = HISTORY_BLOCKS[0]
    words, content = recorded(block.file), block.content

    def history(payload: bytes, **fields: int) -> bytes:
        return around(coded(HISTORY, content, payload, parameters(**(block.fields | fields))), content)

    yield Vector("history-word-more", "a word after the last", history(words + bytes(4)))
    yield Vector("history-word-less", "the last word is missing", history(words[:-4]))
    yield Vector("history-half-word", "half a word after the last", history(words + bytes(2)))
    yield Vector("history-flipped", "a bit of the first word flipped", history(flip(words, 0, 1)))
    yield Vector("history-family", "coded as text, declared as rows", history(words, family=1, row=7))
    yield Vector("history-lanes", "coded as one lane, two declared", history(words, lanes=2))


def bad_samples() -> Iterator[Vector]:
    """Layouts that no block of this size has, and payloads that are nearly right."""
    block = SAMPLE_BLOCKS[0]
    words, content = recorded(block.file), block.content

    def samples(fields: bytes, payload: bytes = words) -> bytes:
        return around(coded(SAMPLES, content, payload, fields), content)

    for name, reason, fields in (
        ("long", "more samples than bytes", layout(1, 6, 206, 2, 2)),
        ("row", "half a frame at the end", layout(1, 6, 201, 2, 2)),
        ("channels", "sound of three channels", layout(1, 6, 198, 6, 2)),
        ("sample", "sound of 32 bits", layout(1, 0, 208, 4, 4)),
        ("form", "a picture with a form", layout(2, 0, 208, 4, 4, 1)),
        ("wide", "a row of 262,145 bytes", layout(2, 0, 0, 262_145, 1)),
        ("dna", "DNA that does not begin with the block", layout(3, 1, 210, 1, 1)),
        ("none", "no layout", b""),
    ):
        yield Vector(f"samples-{name}", f"coding 7: {reason}", samples(fields))
    yield Vector("samples-word-more", "a word after the last", samples(block.fields, words + bytes(4)))
    yield Vector("samples-word-less", "the last word is missing", samples(block.fields, words[:-4]))
    yield Vector("samples-other", "mono sound, declared as stereo", samples(layout(1, 6, 200, 4, 2)))


def bad_transcodings() -> Iterator[Vector]:
    block = HISTORY_BLOCKS[0]
    for name, reason, fields in (
        ("head", "a head of 4 bytes", transcoding(1, len(block.content), head=4)),
        ("text-large", "a text of more than twice the raw size", transcoding(1, 2 * len(block.content) + 1)),
        ("conventional", "the text is stored", transcoding(1, len(block.content), coding=STORED)),
        ("check", "the text is in UTF-16, the block check that of GB18030", transcoding(2, len(block.content))),
    ):
        body = coded(TRANSCODED, block.content, recorded(block.file), fields + parameters(**block.fields))
        yield Vector(f"transcoding-{name}", f"coding 6: {reason}", around(body, block.content))


def bad_ends() -> Iterator[Vector]:
    whole = archive(TEXT)
    start = header(len(TEXT)) + stored(TEXT)
    yield Vector("end-missing", "ends after the last block", start)
    yield Vector("end-truncated", "ends inside of END", whole[:-10])
    yield Vector("end-no-marker", "ends before the end marker", whole[:-2])
    yield Vector("end-half-marker", "ends inside of the end marker", whole[:-1])
    yield Vector("end-marker", "another end marker", start + end(TEXT, marker=b"\x89\x5a"))
    yield Vector("end-marker-long", "an end marker of three bytes", start + end(TEXT, marker=b"\x5a\x89\0"))
    yield Vector("end-content", "SHA-256 of another content", start + end(TEXT.upper()))
    yield Vector("end-size", "END states a byte too many", header(None) + stored(TEXT) + end(TEXT, len(TEXT) + 1))
    yield Vector("end-size-huge", "END states 2^63 - 1 bytes", header(None) + stored(TEXT) + end(TEXT, (1 << 63) - 1))
    yield Vector("end-two-sizes", "size in the header and in END", start + end(TEXT, len(TEXT)))
    yield Vector("end-size-lie", "the header states a byte too many", header(len(TEXT) + 1) + stored(TEXT) + end(TEXT))
    yield Vector("trailing-zeros", "512 zeros after END", whole + bytes(512))
    yield Vector("trailing-newline", "a line end after END", whole + b"\n")
    yield Vector("trailing-text", "text after END", whole + TEXT)
    yield Vector("second-archive-truncated", "the second archive ends in its magic", whole + MAGIC[:5])
    yield Vector(
        "second-archive-damaged",
        "the second archive's content is damaged",
        whole + archive(b"first").replace(b"first", b"f1rst"),
    )


def flip(data: bytes, place: int, mask: int) -> bytes:
    return data[:place] + bytes([data[place] ^ mask]) + data[place + 1 :]
