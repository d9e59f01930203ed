"""Rows of a study as JSON lines: the first line states the question, each other line is one measurement.

A row is written as soon as it is measured. A resumed run keeps the rows of the same question (study, scale, seed,
sizes, material) and refuses those of another.
"""

import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVarTuple

from zipllm.bench.result import read_json_lines
from zipllm.errors import CorruptData, UsageError, file_errors

Row = Mapping[str, Any]
"""One measurement: ``key`` names it, the other members are its values."""
Rows = Sequence[Row]
Ts = TypeVarTuple("Ts")

SITTING = "sitting "
"""Beginning of the key of a row about a sitting: one uninterrupted part of a run, with its times and omissions."""
SCHEMA = 1
"""Changes when a member changes its meaning."""
SAME = ("schema", "study", "scale", "seed", "sizes", "material")
"""Members of the first line that must agree for a run to resume."""


class Ledger:
    """The rows of one run, after those of earlier sittings.

    Raises:
        UsageError: the file has rows that answer another question than ``header``.
        CorruptData: the file is damaged.
        FileError: it cannot be read or written.
    """

    def __init__(self, path: Path, header: Mapping[str, Any]) -> None:
        self.path = path
        self.header: dict[str, Any] = {"schema": SCHEMA, **json.loads(json.dumps(header))}
        self._rows: dict[str, Row] = {}
        if path.exists():
            old, rows = read_ledger(path)
            for name in SAME:
                if old.get(name) != self.header.get(name):
                    raise UsageError(f"{path} holds a run with another {name}; --out names another folder")
            self.header = old  # keeps machine and version of the first sitting
            self._rows = {str(row["key"]): row for row in rows}
        self._write([self.header, *self._rows.values()], "w")
        ended = len(self.rows) - len(measurements(self.rows))
        self.sitting = 1 + max((int(row.get("sitting", 0)) for row in self.rows), default=ended)
        self._begun = _clocks()

    @property
    def rows(self) -> list[Row]:
        """All rows, in the order of measuring."""
        return list(self._rows.values())

    @property
    def spent(self) -> tuple[float, float]:
        """Wall and processor seconds of this sitting so far."""
        (wall, processor), (wall_then, processor_then) = _clocks(), self._begun
        return wall - wall_then, processor - processor_then

    def measure(self, key: str, make: Callable[[*Ts], Row], *args: *Ts, **about: Any) -> Row:
        """Return the row of this key; if it is missing, measure it by ``make(*args)``, add ``about``, and keep it."""
        if key not in self._rows:
            clock = time.perf_counter()
            row = {"key": key, **make(*args), **about, "measured_s": round(time.perf_counter() - clock, 3)}
            row |= {"sitting": self.sitting, "sitting_s": [round(seconds, 3) for seconds in self.spent]}
            self._rows[key] = json.loads(json.dumps(row))
            self._write([row], "a")
        return self._rows[key]

    def _write(self, lines: list[Any], mode: str) -> None:
        with file_errors(self.path), self.path.open(mode, encoding="utf-8") as sink:
            sink.writelines(json.dumps(line, allow_nan=False) + "\n" for line in lines)


def _clocks() -> tuple[float, float]:
    """Return wall time, and the processor time of this process and of those it has waited for."""
    times = os.times()
    return time.perf_counter(), times.user + times.system + times.children_user + times.children_system


def measurements(rows: Rows) -> Rows:
    """Return the rows that are not about sittings."""
    return [row for row in rows if not str(row["key"]).startswith(SITTING)]


def read_ledger(path: Path) -> tuple[dict[str, Any], list[Row]]:
    """Return the first line and the rows; errors as ``read_json_lines``."""
    values = read_json_lines(path, _line)
    if not values or values[0].get("schema") != SCHEMA:
        raise CorruptData(f"{path}: not the rows of a study, or of another version")
    return values[0], list(values[1:])


def _line(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict) or not {"schema", "key"} & set(value):
        raise ValueError("not a row of a study")
    return value
