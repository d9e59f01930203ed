"""The header of a GGUF file, parsed within limits because the file may be hostile.

Layout (the specification of ggml, docs/gguf.md): magic, version, number of tensors, number of fields, all fields (key,
type, value), then name, dimensions, type and offset of each tensor; the data follow at the next multiple of the
alignment. All integers are little-endian.
"""

import math
import struct
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, BinaryIO

from zipllm.errors import ModelInvalid

MAGIC = b"GGUF"
VERSIONS = (2, 3)

MAX_FIELDS = 4_096
MAX_TENSORS = 16_384
MAX_KEY_BYTES = 256
MAX_TEXT_BYTES = 1 << 20
MAX_HEADER_BYTES = 64 << 20
MAX_ENTRIES = 1 << 21
"""Entries of all arrays together."""
MAX_DIMENSIONS = 4
MAX_ELEMENTS = 1 << 40
MAX_ALIGNMENT = 1 << 16

TYPES = {
    0: ("F32", 1, 4), 1: ("F16", 1, 2), 30: ("BF16", 1, 2), 2: ("Q4_0", 32, 18), 3: ("Q4_1", 32, 20),
    6: ("Q5_0", 32, 22), 7: ("Q5_1", 32, 24), 8: ("Q8_0", 32, 34), 12: ("Q4_K", 256, 144), 13: ("Q5_K", 256, 176),
    14: ("Q6_K", 256, 210),
}  # fmt: skip
"""Types of tensors that are read: name, elements and bytes of a block."""

_OTHER_TYPES = {
    4: "Q4_2", 5: "Q4_3", 9: "Q8_1", 10: "Q2_K", 11: "Q3_K", 15: "Q8_K", 16: "IQ2_XXS", 17: "IQ2_XS", 18: "IQ3_XXS",
    19: "IQ1_S", 20: "IQ4_NL", 21: "IQ3_S", 22: "IQ2_S", 23: "IQ4_XS", 24: "I8", 25: "I16", 26: "I32", 27: "I64",
    28: "F64", 29: "IQ1_M", 34: "TQ1_0", 35: "TQ2_0", 39: "MXFP4", 40: "NVFP4",
}  # fmt: skip

_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _ARRAY = 8, 9


@dataclass(frozen=True)
class GgufTensor:
    """Where a tensor lies.

    Attributes:
        shape: slowest dimension first, as numpy has it.
        type: a key of ``TYPES``.
        begin: byte of the file where it begins.
        size: its bytes.
    """

    shape: tuple[int, ...]
    type: int
    begin: int
    size: int


@dataclass(frozen=True)
class GgufHeader:
    """Fields and tensors of a file, by name; arrays are lists."""

    fields: dict[str, Any]
    tensors: dict[str, GgufTensor]


def read_gguf_header(stream: BinaryIO, size: int) -> GgufHeader:
    """Parse the header of a file of ``size`` bytes, from its beginning.

    Raises:
        ModelInvalid: it is not GGUF, damaged, past a limit, or has tensors of a type that is not read.
    """
    reader = _Reader(stream, size)
    if reader.take(4) != MAGIC:
        raise ModelInvalid("it is not a GGUF file")
    version = reader.number("I")
    if version not in VERSIONS:
        raise ModelInvalid(f"GGUF version {version} is not read (known: {', '.join(map(str, VERSIONS))})")
    tensors = _limited(reader.number("Q"), MAX_TENSORS, "tensors")
    count = _limited(reader.number("Q"), MAX_FIELDS, "fields")
    fields: dict[str, Any] = {}
    for _ in range(count):
        key = reader.key()
        if key in fields:
            raise ModelInvalid(f"field {key!r} is repeated")
        fields[key] = reader.value()
    return GgufHeader(fields, _tensors(reader, tensors, fields.get("general.alignment", 32)))


class _Reader:
    """Takes values from the front of a file, never more than the file or ``MAX_HEADER_BYTES`` has."""

    def __init__(self, stream: BinaryIO, size: int) -> None:
        self.size, self.at = size, 0
        self._stream = stream
        self._end = min(size, MAX_HEADER_BYTES)
        self._entries = 0

    def take(self, count: int) -> bytes:
        if count > self._end - self.at:
            reason = "it is cut short" if self.size <= MAX_HEADER_BYTES else f"header past {MAX_HEADER_BYTES} bytes"
            raise ModelInvalid(reason)
        data = self._stream.read(count)
        if len(data) != count:
            raise ModelInvalid("it is cut short")
        self.at += count
        return data

    def number(self, code: str) -> Any:
        return struct.unpack("<" + code, self.take(struct.calcsize("<" + code)))[0]

    def text(self, most: int = MAX_TEXT_BYTES) -> str:
        """Bytes that are not UTF-8 come as lone surrogates."""
        return self.take(_limited(self.number("Q"), most, "bytes of a text")).decode("utf-8", "surrogateescape")

    def key(self) -> str:
        key = self.text(MAX_KEY_BYTES)
        if not key.isprintable():
            raise ModelInvalid(f"a name has characters that are not printable: {key!r}")
        return key

    def value(self) -> Any:
        kind = self.number("I")
        if kind == _TEXT:
            return self.text()
        return self._array() if kind == _ARRAY else self.number(_code(kind))

    def _array(self) -> list[Any]:
        kind, count = self.number("I"), self.number("Q")
        self._entries += count
        _limited(self._entries, MAX_ENTRIES, "entries of arrays")
        if kind == _TEXT:
            return [self.text() for _ in range(count)]
        code = _code(kind)
        return list(struct.unpack(f"<{count}{code}", self.take(count * struct.calcsize("<" + code))))


def _code(kind: int) -> str:
    if kind not in _NUMBERS:
        raise ModelInvalid(
            "an array of arrays is not read" if kind == _ARRAY else f"a field has the unknown type {kind}"
        )
    return _NUMBERS[kind]


def _limited(number: int, most: int, what: str) -> int:
    if number > most:
        raise ModelInvalid(f"more than {most} {what}")
    return number


def _tensors(reader: _Reader, count: int, alignment: object) -> dict[str, GgufTensor]:
    if type(alignment) is not int or not 8 <= alignment <= MAX_ALIGNMENT or alignment & (alignment - 1):
        raise ModelInvalid(f"alignment {str(alignment)[:20]} is not a power of two from 8 to {MAX_ALIGNMENT}")
    described: dict[str, tuple[tuple[int, ...], int, int]] = {}
    for _ in range(count):
        name = reader.key()
        if name in described:
            raise ModelInvalid(f"tensor {name!r} is repeated")
        described[name] = _described(reader, name)
    data = -(-reader.at // alignment) * alignment
    tensors = {}
    for name, (shape, kind, offset) in described.items():
        size = math.prod(shape) // TYPES[kind][1] * TYPES[kind][2]
        if offset % alignment or offset > reader.size or data + offset + size > reader.size:
            raise ModelInvalid(f"tensor {name!r} is not aligned, or the file ends before it does")
        tensors[name] = GgufTensor(shape, kind, data + offset, size)
    _check_apart(tensors)
    return tensors


def _described(reader: _Reader, name: str) -> tuple[tuple[int, ...], int, int]:
    """Return shape, type and offset of the next tensor."""
    dimensions = reader.number("I")
    if not 1 <= dimensions <= MAX_DIMENSIONS:
        raise ModelInvalid(f"tensor {name!r} has {dimensions} dimensions, not 1 to {MAX_DIMENSIONS}")
    shape = tuple(reader.number("Q") for _ in range(dimensions))[::-1]
    kind, offset = reader.number("I"), reader.number("Q")
    if kind not in TYPES:
        named = _OTHER_TYPES.get(kind, f"number {kind}")
        known = ", ".join(name for name, _, _ in TYPES.values())
        raise ModelInvalid(f"tensor {name!r} has the type {named}, which is not read (known: {known})")
    if not 1 <= math.prod(shape) <= MAX_ELEMENTS or shape[-1] % TYPES[kind][1]:
        raise ModelInvalid(f"tensor {name!r} of type {TYPES[kind][0]} has the impossible shape {list(shape)}")
    return shape, kind, offset


def _check_apart(tensors: dict[str, GgufTensor]) -> None:
    placed = sorted((tensor.begin, tensor.begin + tensor.size, name) for name, tensor in tensors.items())
    for (_, end, left), (begin, _, right) in pairwise(placed):
        if begin < end:
            raise ModelInvalid(f"tensors {left!r} and {right!r} overlap")
