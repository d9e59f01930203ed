"""The files of a Hugging Face folder, read within limits: JSON, and tensors in safetensors, which hold no code."""

import json
import os
import stat
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from zipllm.errors import FileError, ModelInvalid, file_errors
from zipllm.foreign.checkpoint import FloatArray, Shape
from zipllm.model_file.summary import open_model_file

INDEX, SINGLE, WEIGHTS = "model.safetensors.index.json", "model.safetensors", "*.safetensors"

MAX_CONFIG_BYTES = 1 << 20
MAX_INDEX_BYTES = 16 << 20
MAX_TOKENIZER_FILE_BYTES = 32 << 20
MAX_SHARDS = 1_024

_SLAB = 1 << 22
"""Elements compared at a time."""
_TYPES = ("F32", "F16", "BF16")
_Result = TypeVar("_Result")


def read_text(path: Path, most: int) -> bytes:
    """Return the content of a regular file.

    Raises:
        ModelNotFound: there is none.
        ModelInvalid: it is not a regular file, or longer than ``most``.
        FileError: it cannot be read.
    """
    with open_model_file(path) as (stream, size):
        if size > most:
            raise ModelInvalid(f"{path.name} has {size} bytes, more than {most}")
        return stream.read(most)


def read_object(path: Path, most: int) -> dict[str, Any]:
    """Return the JSON object in a file; errors as in `read_text`, and ``ModelInvalid`` if it holds none."""
    try:
        value = json.loads(read_text(path, most))
    except (ValueError, RecursionError) as error:
        raise ModelInvalid(f"{path.name} is not JSON") from error
    if not isinstance(value, dict):
        raise ModelInvalid(f"{path.name} does not hold an object")
    return value


@dataclass(frozen=True)
class Weights:
    """The tensors of a folder.

    Attributes:
        files: the file of each tensor.
        shapes: the shape of each tensor.
    """

    files: Mapping[str, Path]
    shapes: Mapping[str, Shape]

    def read(self, name: str) -> FloatArray:
        """Return a tensor in float32. Raises ``ModelInvalid`` and ``FileError``."""
        return _with_file(self.files[name], lambda file: _floats(file.get_tensor(name)))

    def same(self, left: str, right: str) -> bool:
        """Whether two tensors have equal shapes and numbers."""
        shape = self.shapes[left]
        if shape != self.shapes[right] or len(shape) != 2:
            return False
        step = max(1, _SLAB // max(1, shape[1]))
        slabs = (slice(begin, begin + step) for begin in range(0, shape[0], step))
        return all(np.array_equal(self._slab(left, slab), self._slab(right, slab)) for slab in slabs)

    def _slab(self, name: str, rows: slice) -> FloatArray:
        return _with_file(self.files[name], lambda file: _floats(file.get_slice(name)[rows]))


def find_weights(folder: Path) -> Weights:
    """Find the tensors of a folder: in the files that its index names, else in one file, else in all.

    Raises:
        ModelInvalid: there are none, some are of a type that is not read, or one is in two files.
        FileError: a file cannot be read.
    """
    files: dict[str, Path] = {}
    shapes: dict[str, Shape] = {}
    for path in _shards(folder):
        for name, shape in _with_file(path, _described).items():
            if name in files:
                raise ModelInvalid(f"tensor {name!r} is in {files[name].name} and in {path.name}")
            files[name], shapes[name] = path, shape
    return Weights(files, shapes)


def _shards(folder: Path) -> list[Path]:
    if (folder / INDEX).exists():
        places = read_object(folder / INDEX, MAX_INDEX_BYTES).get("weight_map")
        if not isinstance(places, dict) or not all(isinstance(place, str) for place in places.values()):
            raise ModelInvalid(f"{INDEX} has no weight_map from tensors to files")
        names = sorted(set(places.values()))
        if any(name != os.path.basename(name) or not name.endswith(".safetensors") for name in names):
            raise ModelInvalid(f"{INDEX} names a file that is not *.safetensors in its folder")
        found = [folder / name for name in names]
    elif (folder / SINGLE).exists():
        found = [folder / SINGLE]
    else:
        with file_errors(repr(str(folder))):
            found = sorted(folder.glob(WEIGHTS))
    if not 1 <= len(found) <= MAX_SHARDS:
        raise ModelInvalid(f"it has {len(found)} files {WEIGHTS}, not 1 to {MAX_SHARDS}; other forms can run code")
    return found


def _with_file(path: Path, use: Callable[[Any], _Result]) -> _Result:
    """Open a file by the library and use it; its errors and those of the system become ours."""
    from safetensors import SafetensorError, safe_open

    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise ModelInvalid(f"{path.name} is not a regular file")
        with safe_open(path, framework="pt") as file:
            return use(file)
    except FileNotFoundError as error:
        raise ModelInvalid(f"it lacks the file {path.name}") from error
    except OSError as error:
        raise FileError(f"cannot read {path.name}: {error.strerror or error}") from error
    except SafetensorError as error:
        raise ModelInvalid(f"{path.name} is damaged: {str(error)[:200]}") from error


def _described(file: Any) -> dict[str, Shape]:
    shapes = {}
    for name in file.keys():  # noqa: SIM118 (the library's object is no mapping)
        part = file.get_slice(name)
        if part.get_dtype() not in _TYPES:
            raise ModelInvalid(
                f"tensor {name[:80]!r} has the type {part.get_dtype()}, which is not read (known: {', '.join(_TYPES)})"
            )
        shapes[name] = tuple(part.get_shape())
    return shapes


def _floats(tensor: Any) -> FloatArray:
    values: FloatArray = tensor.float().numpy()
    return values.copy() if values.base is not None else values
