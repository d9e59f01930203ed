"""A benchmark as a TOML file, to name, commit and repeat it.

inputs = ["canterbury", "enwik8[95M:100M]"]
codecs = "gzip,xz,zipllm"
models = "small"                    # optional: the models of a plain "zipllm"
repeat = 3                          # optional
"""

import tomllib
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from zipllm.bench.codecs import DEFAULT_CODECS
from zipllm.errors import UsageError, file_errors


@dataclass(frozen=True)
class Suite:
    """The fields of a suite. Raises ``UsageError`` if one has the wrong type."""

    inputs: tuple[str, ...]
    codecs: str = DEFAULT_CODECS
    models: str | None = None
    repeat: int = 1

    def __post_init__(self) -> None:
        wanted: dict[str, Any] = {"codecs": str, "models": str | None, "repeat": int}
        for name, kind in wanted.items():
            value = getattr(self, name)
            if not isinstance(value, kind) or isinstance(value, bool):
                raise UsageError(f"{name} must be a {'number' if kind is int else 'text'}, not {value!r}")
        if self.repeat < 1:
            raise UsageError(f"repeat must be 1 or more, not {self.repeat}")


def read_suite(path: Path) -> Suite:
    """Read a suite.

    Raises:
        FileError: the file cannot be read.
        UsageError: the file is not a suite; the message names the field.
    """
    try:
        with file_errors(path):
            value = tomllib.loads(path.read_text(encoding="utf-8"))
        unknown = set(value) - {field.name for field in fields(Suite)}
        if unknown:
            raise UsageError(f"unknown field {sorted(unknown)[0]!r}")
        inputs = value.pop("inputs", None)
        if not isinstance(inputs, list) or not inputs or not all(isinstance(item, str) for item in inputs):
            raise UsageError("inputs must be a list of corpora and paths")
        return Suite(tuple(inputs), **value)
    except (UsageError, ValueError) as error:
        raise UsageError(f"{path}: {error}") from error
