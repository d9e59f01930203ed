"""What texts cost behind a class's texts for codecs that write a stream: how much longer it gets.

The class's texts are compressed once. The state after them is then used for every text: copied where the library can
(zlib), and else in a forked process, which has it as its own (``forked``): with PPMd a text behind 300 KB of others
takes 7 ms here, and 70 ms where those are read again. Sizes are whole bytes, so costs of short texts often tie.
"""

import contextlib
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from zipllm.bench.spec import Spec
from zipllm.errors import ZipllmError

Step = Callable[[float], None]
"""Told which part of the work is done."""

Measure = Callable[[Sequence[bytes], Step], NDArray[np.float64]]
"""What each of some texts costs, float64 ``[texts]``, in bits."""

FORKED = ("ppmd", "xz", "bzip2")
_NUMBER = struct.Struct("<q")


@contextlib.contextmanager
def zlib_stream(level: int, content: bytes) -> Iterator[Measure]:
    """Give the measure of gzip behind ``content``, of which it sees the last 32 KB."""
    stream = zlib.compressobj(level)
    written = len(stream.compress(content))

    def size(text: bytes) -> int:
        copy = stream.copy()
        return written + len(copy.compress(text)) + len(copy.flush())

    yield growth(size)


@contextlib.contextmanager
def forked_stream(spec: Spec, content: bytes) -> Iterator[Measure]:
    """Give the measure of a codec of ``FORKED``.

    Raises:
        ZipllmError: the process ended, say for want of memory.
    """
    command = [sys.executable, "-m", "zipllm.classify.forked", str(spec)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        sink, source = process.stdin, process.stdout

        def send(data: bytes) -> None:
            with contextlib.suppress(BrokenPipeError):  # the answer that is missing tells
                sink.write(_NUMBER.pack(len(data)) + data)
                sink.flush()

        def size(text: bytes) -> int:
            send(text)
            answer = source.read(_NUMBER.size)
            if len(answer) < _NUMBER.size:
                raise ZipllmError(f"{spec}: the process that compresses ended with code {process.wait()}")
            return int(_NUMBER.unpack(answer)[0])

        try:
            send(content)
            yield growth(size)
        finally:
            with contextlib.suppress(BrokenPipeError):  # what could not be sent is still in its buffer
                sink.close()


def growth(size: Callable[[bytes], int]) -> Measure:
    """Return the measure of a coder whose archive has ``size`` bytes with a text at its end."""
    nothing = size(b"")

    def measure(texts: Sequence[bytes], step: Step) -> NDArray[np.float64]:
        found = np.empty(len(texts))
        for index, text in enumerate(texts):
            found[index] = 8 * (size(text) - nothing)
            step((index + 1) / len(texts))
        return found

    return measure
