"""Integer tensors between the file's bytes and numpy."""

from typing import Any, BinaryIO

import numpy as np

from zipllm.errors import ModelInvalid
from zipllm.model.parameters import IntegerArray
from zipllm.model_file.layout import TensorEntry

_NUMPY = {"I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8, "U8": np.uint8}
_NAMES = {np.dtype(kind): name for name, kind in _NUMPY.items()}


def dtype_name(dtype: np.dtype[Any]) -> str:
    """The file's name for an element type.

    Raises:
        ValueError: not one of the integer types a model file holds.
    """
    name = _NAMES.get(dtype.newbyteorder("="))
    if name is None:
        raise ValueError(f"{dtype} is not an integer type of a model file ({', '.join(_NUMPY)})")
    return name


def little_endian(array: IntegerArray) -> memoryview:
    """The array's bytes, row-major and little-endian, without a copy where it already lies like that."""
    wanted = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return wanted.reshape(-1).view(np.uint8).data


def read_array(stream: BinaryIO, entry: TensorEntry) -> IntegerArray:
    """Read one tensor; ``stream`` stands at its first byte, and the header's sizes have been checked.

    The bytes are copied into memory of our own rather than mapped: a mapped file could change after its
    hash was taken, and would end the process with SIGBUS if it shrank.

    Raises:
        ModelInvalid: the file ends early.
    """
    array: IntegerArray = np.empty(entry.shape, dtype=np.dtype(_NUMPY[entry.dtype]).newbyteorder("<"))
    view = array.reshape(-1).view(np.uint8).data
    while view:
        count = stream.readinto(view)  # type: ignore[attr-defined]
        if not count:
            raise ModelInvalid(f"truncated in tensor {entry.name}")
        view = view[count:]
    return array.astype(_NUMPY[entry.dtype], copy=False)
