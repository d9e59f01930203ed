"""Headers of GGUF files byte by byte, so that tests can lie in them."""

import struct

TEXT, ARRAY, U32 = 8, 9, 4


def text(value: bytes, length: int | None = None) -> bytes:
    """A string, by default with its true length."""
    return struct.pack("<Q", len(value) if length is None else length) + value


def field(key: bytes, kind: int, value: bytes) -> bytes:
    """A field."""
    return text(key) + struct.pack("<I", kind) + value


def array(kind: int, count: int, entries: bytes) -> bytes:
    """The value of an array."""
    return struct.pack("<IQ", kind, count) + entries


def tensor(name: bytes, shape: tuple[int, ...], kind: int = 0, offset: int = 0, dimensions: int | None = None) -> bytes:
    """The description of a tensor."""
    count = len(shape) if dimensions is None else dimensions
    return text(name) + struct.pack(f"<I{len(shape)}QIQ", count, *shape, kind, offset)


def file(
    fields: list[bytes],
    tensors: list[bytes],
    data: int = 0,
    *,
    version: int = 3,
    counts: tuple[int, int] | None = None,
    alignment: int = 32,
) -> bytes:
    """A file with ``data`` zeros behind its header."""
    tensor_count, field_count = counts or (len(tensors), len(fields))
    header = b"GGUF" + struct.pack("<IQQ", version, tensor_count, field_count) + b"".join(fields) + b"".join(tensors)
    return header + bytes(-len(header) % alignment + data)
