"""An archive of many small blocks of different codings, for the tests of several workers."""

import io
import random
from dataclasses import replace
from typing import Any

from tests.codec.engines import TEXT, byte_engine
from tests.codec.test_choose import CHAIN
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.engine.engine import Engine
from zipllm.progress import Summary

RECORDS = b"".join(number.to_bytes(4, "little") + b"\0\1abc" for number in range(0, 9000, 7))
MIXED = CHAIN[:3000] + bytes(2500) + random.Random(8).randbytes(4500) + TEXT * 8 + RECORDS[:6000] + CHAIN[3000:5000]
SIZE = 2000
ALONE: dict[str, Any] = {"history_bits": None}
"""Without the history, so that the model wins somewhere."""


def shared() -> Engine:
    """An engine that several blocks may use at a time."""
    return replace(byte_engine(), side_by_side=True)


def compress(data: bytes, engine: Any, sink: Any = None, progress: Any = None, **options: Any) -> tuple[bytes, Summary]:
    sink = io.BytesIO() if sink is None else sink
    options = {"block_size": SIZE, "history_bits": 12} | options
    summary = compress_stream(
        io.BytesIO(data), sink, engine=engine, options=EncodeOptions(**options), progress=progress
    )
    return sink.getvalue(), summary


class Failing(io.BytesIO):
    """A source or sink that fails after ``most`` bytes."""

    def __init__(self, content: bytes, most: int) -> None:
        super().__init__(content)
        self._most = most

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() > self._most:
            raise OSError(5, "Input/output error")
        return super().read(size)

    def write(self, data: Any, /) -> int:
        if self.tell() > self._most:
            raise OSError(28, "No space left on device")
        return super().write(data)
