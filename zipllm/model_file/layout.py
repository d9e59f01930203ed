"""The safetensors layout, read strictly and written in one canonical way.

A file is the length of the header (8 bytes, little-endian), a JSON header, and the tensors' bytes:

    {"__metadata__": {"zipllm": "<canonical JSON>"},
     "<name>": {"dtype": "I8", "shape": [2, 3], "data_offsets": [begin, end]}, ...}

Offsets count from the end of the header. The ``safetensors`` library reads these files; zipllm has a
reader of its own because it wants more than the library checks: integers only, one metadata key, no
tensor outside the expected set, and no allocation before a size is known to be true. The writer's output
equals the library's for the same tensors: widest dtype first, then by name, header padded with spaces to 8.
Headers are read without numpy, so that many models are listed quickly.
"""

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO

from zipllm.errors import LimitExceeded, ModelInvalid
from zipllm.model_file.canonical_json import load_json
from zipllm.model_file.limits import (
    MAX_DIMENSIONS,
    MAX_HEADER_BYTES,
    MAX_TENSOR_NAME_BYTES,
    MAX_TENSORS,
    ModelLimits,
)

if TYPE_CHECKING:
    import numpy as np

    from zipllm.model.parameters import IntegerArray

METADATA_KEY = "zipllm"
ITEM_BYTES = {"I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1}
"""Element types of an integer model and their sizes, in the order in which the file stores them."""

_NUMPY = dict(zip(ITEM_BYTES, ("int64", "int32", "int16", "int8", "uint8"), strict=True))
_ORDER = {dtype: rank for rank, dtype in enumerate(ITEM_BYTES)}
_NAME = re.compile(r"[A-Za-z0-9_.]+")
_MAX_BYTES = 1 << 62
_TEXT = {*b"\t\n\r", *range(32, 127), *range(0xC2, 0xF5), *range(0x80, 0xC0)}
"""Bytes of ASCII and UTF-8."""


@dataclass(frozen=True)
class TensorEntry:
    """Where one tensor lies: ``bytes start..stop`` of the data section, row-major, little-endian."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


@dataclass(frozen=True)
class Header:
    """A checked header.

    Attributes:
        entries: in file order, touching each other, filling the data section exactly.
        metadata: the one metadata string.
        data_start: file offset of the data section.
    """

    entries: tuple[TensorEntry, ...]
    metadata: str
    data_start: int


def read_header(stream: BinaryIO, size: int, limits: ModelLimits) -> Header:
    """Read and check the header of a file of ``size`` bytes; leaves ``stream`` at the data section.

    Raises:
        LimitExceeded: the file is larger than ``limits.file_bytes``.
        ModelInvalid: not a safetensors file, or not one that zipllm would write.
    """
    if size > limits.file_bytes:
        raise LimitExceeded(f"model file is {size} bytes long, more than the {limits.file_bytes} allowed", "file_bytes")
    if size < 10:
        raise ModelInvalid(f"{size} bytes are too few for a model file")
    prefix = stream.read(8)
    length = int.from_bytes(prefix, "little")
    if length > MAX_HEADER_BYTES:
        hint = _foreign_format(prefix)
        raise ModelInvalid(hint or f"header claims {length} bytes, more than the {MAX_HEADER_BYTES} allowed")
    if length > size - 8:
        raise ModelInvalid(f"truncated: header claims {length} bytes, but only {size - 8} follow")
    raw = stream.read(length)
    if len(raw) != length:
        raise ModelInvalid("truncated while reading the header")
    return parse_header(raw, data_bytes=size - 8 - length)


def parse_header(raw: bytes, data_bytes: int) -> Header:
    """Check a JSON header against a data section of ``data_bytes`` bytes. Raises ``ModelInvalid``."""
    if not raw.startswith(b"{"):
        raise ModelInvalid("not a model file: the header is not a JSON object")
    members = load_json(raw, what="header", max_bytes=MAX_HEADER_BYTES, max_depth=3)
    metadata = members.pop("__metadata__", None)
    if not isinstance(metadata, dict) or set(metadata) != {METADATA_KEY} or not isinstance(metadata[METADATA_KEY], str):
        raise ModelInvalid(f"not a zipllm model file: its metadata is not the single string {METADATA_KEY!r}")
    if len(members) > MAX_TENSORS:
        raise ModelInvalid(f"{len(members)} tensors, more than the {MAX_TENSORS} allowed")
    entries = sorted((_entry(name, value) for name, value in members.items()), key=lambda entry: entry.start)
    position = 0
    for entry in entries:
        if entry.start != position:
            raise ModelInvalid(f"tensor {entry.name}: data begin at {entry.start}, not at {position} (hole or overlap)")
        position = entry.stop
    if position != data_bytes:
        kind = "truncated" if position > data_bytes else "trailing data"
        raise ModelInvalid(f"{kind}: tensors take {position} bytes, but {data_bytes} follow the header")
    return Header(tuple(entries), metadata[METADATA_KEY], 8 + len(raw))


def write_header(shapes: Mapping[str, tuple[str, tuple[int, ...]]], metadata: str) -> tuple[bytes, tuple[str, ...]]:
    """Build a canonical header.

    Args:
        shapes: dtype (a key of ``ITEM_BYTES``) and shape of every tensor.
        metadata: the one metadata string, ASCII.

    Returns:
        The bytes of the file up to the data section, and the order in which the tensors' bytes must follow.
    """
    names = sorted(shapes, key=lambda name: (_ORDER[shapes[name][0]], name))
    members: dict[str, Any] = {"__metadata__": {METADATA_KEY: metadata}}
    position = 0
    for name in names:
        dtype, shape = shapes[name]
        stop = position + ITEM_BYTES[dtype] * math.prod(shape)
        members[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [position, stop]}
        position = stop
    raw = json.dumps(members, separators=(",", ":")).encode("ascii")
    raw += b" " * (-len(raw) % 8)
    return len(raw).to_bytes(8, "little") + raw, tuple(names)


def dtype_name(dtype: "np.dtype[Any]") -> str:
    """Return the file's name for an element type. Raises ``ValueError`` if no model file holds it."""
    for name, known in _NUMPY.items():
        if dtype.name == known:
            return name
    raise ValueError(f"{dtype} is not an integer type of a model file ({', '.join(_NUMPY)})")


def little_endian(array: "IntegerArray") -> memoryview:
    """Return the array's bytes, row-major and little-endian, without a copy where it already lies like that."""
    import numpy as np

    return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<")).reshape(-1).view(np.uint8).data


def read_array(stream: BinaryIO, entry: TensorEntry) -> "IntegerArray":
    """Read one tensor; ``stream`` stands at its first byte, and the header's sizes have been checked.

    The bytes are copied, not mapped: a mapped file could change after it was hashed, and if it shrank, SIGBUS would
    end the process.

    Raises:
        ModelInvalid: the file ends early.
    """
    import numpy as np

    array: IntegerArray = np.empty(entry.shape, dtype=np.dtype(_NUMPY[entry.dtype]).newbyteorder("<"))
    view = array.reshape(-1).view(np.uint8).data
    while view:
        count = stream.readinto(view)  # type: ignore[attr-defined]
        if not count:
            raise ModelInvalid(f"truncated in tensor {entry.name}")
        view = view[count:]
    return array.astype(_NUMPY[entry.dtype], copy=False)


def _entry(name: str, value: Any) -> TensorEntry:
    if not _NAME.fullmatch(name) or len(name) > MAX_TENSOR_NAME_BYTES:
        raise ModelInvalid(f"tensor name {name[:64]!r} is not 1 to {MAX_TENSOR_NAME_BYTES} of A-Z a-z 0-9 _ .")
    if not isinstance(value, dict) or set(value) != {"dtype", "shape", "data_offsets"}:
        raise ModelInvalid(f"tensor {name}: fields are not exactly dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in ITEM_BYTES:
        raise ModelInvalid(f"tensor {name}: dtype {dtype!r:.32} is not one of {', '.join(ITEM_BYTES)}")
    if not _sizes(shape) or not 1 <= len(shape) <= MAX_DIMENSIONS or 0 in shape:
        raise ModelInvalid(f"tensor {name}: shape {shape!r:.64} is not 1 to {MAX_DIMENSIONS} positive sizes")
    if not _sizes(offsets) or len(offsets) != 2:
        raise ModelInvalid(f"tensor {name}: data_offsets {offsets!r:.64} are not two sizes")
    start, stop = offsets
    if stop - start != ITEM_BYTES[dtype] * math.prod(shape):
        raise ModelInvalid(f"tensor {name}: {stop - start} bytes do not hold shape {list(shape)} of {dtype}")
    return TensorEntry(name, dtype, tuple(shape), start, stop)


def _sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item <= _MAX_BYTES for item in value)


def _foreign_format(prefix: bytes) -> str | None:
    """Name the formats people rename to .safetensors; none of them is ever opened."""
    if prefix.startswith(b"PK\x03\x04"):
        return "this is a zip archive (a PyTorch checkpoint?), which zipllm does not open; it can run code"
    if prefix.startswith(b"\x80") and prefix[1] <= 5:
        return "this is a Python pickle, which zipllm does not open; it can run code"
    if prefix.startswith(b"GGUF"):
        return "this is a GGUF file, not a zipllm model file"
    if prefix.startswith(b"\x89ZLM"):
        return "this is a zipllm archive, not a model file"
    if not set(prefix) - _TEXT:
        return "this is a text file, not a model file"
    return None
