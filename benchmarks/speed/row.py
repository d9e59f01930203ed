"""What a study of speed gets and yields."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from zipllm.bench.inputs import prepare_inputs
from zipllm.data.local import Places

KB, MB = 1024, 1 << 20
P = ParamSpec("P")
T = TypeVar("T")

Row = dict[str, Any]
"""``what`` and ``raw_bytes``, usually ``seconds``; ``note`` is shown in the table."""


@dataclass(frozen=True)
class Settings:
    """How a study is run.

    Attributes:
        folder: for scratch files.
        text_name: a corpus, a slice of one, or a file.
        data_dir: where copies of the corpora are.
        repeat: runs of each command; the median counts.
        preset: of the network that ``training`` trains.
        seconds: that ``training`` takes for each variant.
        device: that ``training`` uses.
    """

    folder: Path
    text_name: str
    data_dir: Path | None
    repeat: int
    preset: str
    seconds: float
    device: str

    @cached_property
    def text(self) -> bytes:
        """The text to code; read when a study first asks for it."""
        inputs = prepare_inputs([self.text_name], Places.default(self.data_dir), self.folder)
        return b"".join(found.path.read_bytes() for found in inputs)


Study = Callable[[Settings], Iterator[Row]]


def timed(work: Callable[P, T], *arguments: P.args, **options: P.kwargs) -> tuple[T, float]:
    """Call a function; return its result and the seconds it took."""
    begin = time.perf_counter()
    result = work(*arguments, **options)
    return result, time.perf_counter() - begin


def kb_per_second(raw_bytes: int, seconds: float) -> float:
    """Return the rate in units of 1000 bytes."""
    return round(raw_bytes / seconds / 1000, 2)
