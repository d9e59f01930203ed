"""Hostile headers end in one line, in bounded memory and time."""

import io
import struct
import tracemalloc
from pathlib import Path

import pytest

from tests.foreign.gguf_bytes import ARRAY, TEXT, U32, array, field, file, tensor, text
from tests.foreign.tiny_checkpoints import save_gguf
from zipllm.errors import ModelInvalid
from zipllm.foreign.gguf_file import read_gguf
from zipllm.foreign.gguf_header import MAX_ENTRIES, MAX_FIELDS, GgufTensor, read_gguf_header

HUGE = (1 << 64) - 1
ALIGNMENT = b"general.alignment"


def alignment(value: int) -> bytes:
    return field(ALIGNMENT, U32, struct.pack("<I", value))


def test_a_good_header() -> None:
    fields = [field(b"a", U32, struct.pack("<I", 7)), field(b"b", ARRAY, array(TEXT, 2, text(b"x") + text(b"\xff")))]
    data = file([*fields, alignment(64)], [tensor(b"t", (3, 2)), tensor(b"u", (32,), 8, 64)], 98, alignment=64)
    header = read_gguf_header(io.BytesIO(data), len(data))
    assert header.fields == {"a": 7, "b": ["x", "\udcff"], "general.alignment": 64}
    begin = len(data) - 98
    assert header.tensors == {"t": GgufTensor((2, 3), 0, begin, 24), "u": GgufTensor((32,), 8, begin + 64, 34)}


HOSTILE = {
    "empty": (b"", "cut short"),
    "other magic": (b"GGML" + bytes(100), "not a GGUF file"),
    "old version": (file([], [], version=1), "version 1"),
    "big-endian": (file([], [], version=3 << 24), "version"),
    "many tensors": (file([], [], counts=(HUGE, 0)), "more than 16384 tensors"),
    "many fields": (file([], [], counts=(0, HUGE)), "more than 4096 fields"),
    "fewer fields than said": (file([], [], counts=(0, MAX_FIELDS)), "cut short"),
    "long key": (file([text(b"k", HUGE)], [], counts=(0, 1)), "bytes of a text"),
    "repeated key": (file([field(b"k", U32, bytes(4))] * 2, []), "repeated"),
    "key that is no text": (file([field(b"\xff", U32, bytes(4))], []), "not printable"),
    "key of an escape": (file([field(b"\x1b[31m", U32, bytes(4))], []), "not printable"),
    "long text": (file([field(b"k", TEXT, text(b"v", 1 << 40))], []), "bytes of a text"),
    "text past the end": (file([field(b"k", TEXT, text(b"v", 5000))], []), "cut short"),
    "unknown type": (file([field(b"k", 77, bytes(8))], []), "unknown type 77"),
    "array of arrays": (file([field(b"k", ARRAY, array(ARRAY, 1, bytes(12)))], []), "array of arrays"),
    "long array": (file([field(b"k", ARRAY, array(U32, HUGE, b""))], []), "entries of arrays"),
    "array past the end": (file([field(b"k", ARRAY, array(10, MAX_ENTRIES, b""))], []), "cut short"),
    "texts past the end": (file([field(b"k", ARRAY, array(TEXT, MAX_ENTRIES, b""))], []), "cut short"),
    "arrays together": (
        file(
            [field(b"%d" % number, ARRAY, array(7, MAX_ENTRIES >> 1, bytes(MAX_ENTRIES >> 1))) for number in range(3)],
            [],
        ),
        "entries of arrays",
    ),
    "alignment 0": (file([alignment(0)], []), "alignment 0"),
    "alignment 33": (file([alignment(33)], []), "alignment 33"),
    "huge alignment": (file([alignment(1 << 31)], []), "alignment"),
    "alignment of text": (file([field(ALIGNMENT, TEXT, text(b"32"))], []), "alignment 32"),
    "many dimensions": (file([], [tensor(b"t", (1,), dimensions=1 << 31)]), "dimensions"),
    "no dimensions": (file([], [tensor(b"t", ())]), "0 dimensions"),
    "huge shape": (file([], [tensor(b"t", (HUGE, HUGE, HUGE, HUGE))]), "impossible shape"),
    "empty shape": (file([], [tensor(b"t", (0, 4))]), "impossible shape"),
    "part of a block": (file([], [tensor(b"t", (40,), 2)], 100), "impossible shape"),
    "unknown tensor type": (file([], [tensor(b"t", (4,), 999)], 100), "number 999"),
    "type that is not read": (file([], [tensor(b"t", (256,), 10)], 100), "Q2_K"),
    "offset past the end": (file([], [tensor(b"t", (4,), 0, 64)], 64), "the file ends"),
    "huge offset": (file([], [tensor(b"t", (4,), 0, HUGE - 31)], 64), "the file ends"),
    "crooked offset": (file([], [tensor(b"t", (4,), 0, 3)], 64), "not aligned"),
    "larger than the file": (file([], [tensor(b"t", (1 << 20, 1 << 10))], 64), "the file ends"),
    "overlap": (file([], [tensor(b"t", (16,)), tensor(b"u", (4,), 0, 32)], 64), "overlap"),
    "repeated tensor": (file([], [tensor(b"t", (4,))] * 2, 64), "repeated"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_headers_end_in_one_line(case: str) -> None:
    data, reason = HOSTILE[case]
    tracemalloc.start()
    try:
        with pytest.raises(ModelInvalid, match=reason) as caught:
            read_gguf_header(io.BytesIO(data), len(data))
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    assert str(caught.value).isprintable()


def test_a_file_cut_anywhere_is_refused(tmp_path: Path) -> None:
    data = save_gguf(tmp_path / "m.gguf").read_bytes()
    cut = tmp_path / "cut.gguf"
    for end in (0, 3, 4, 10, 23, 24, 100, 1000, len(data) // 2, len(data) - 40):
        cut.write_bytes(data[:end])
        with pytest.raises(ModelInvalid, match=r"cut\.gguf.*(cut short|the file ends)"):
            read_gguf(cut, window=64, kept=2)
