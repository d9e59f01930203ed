"""The cost of texts behind a class's texts for codecs that write a stream: the growth of the stream.

The class's texts are compressed once, and every text continues from the state after them: from a copy where the
library makes copies (zlib), else in a fork of a process that holds the state (``forked``). With PPMd, a text behind
300 KB takes 7 ms in a fork; reading the 300 KB again would take 70 ms. Sizes are whole bytes, so costs of short texts
often tie.
"""

import contextlib
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from zipllm.bench.protocol import Spec
from zipllm.errors import ZipllmError

Advance = Callable[[float], None]
"""Called with the fraction of the work that is done."""

Measure = Callable[[Sequence[bytes], Advance], NDArray[np.float64]]
"""From texts to the cost of each in bits, float64 ``[texts]``."""

FORKED = ("ppmd", "xz", "bzip2")
_NUMBER = struct.Struct("<q")


def zlib_growth(level: int, content: bytes) -> Measure:
    """Return the measure of gzip behind ``content``, of which gzip sees the last 32 KB."""
    stream = zlib.compressobj(level)
    written = len(stream.compress(content))

    def size(text: bytes) -> int:
        copy = stream.copy()
        return written + len(copy.compress(text)) + len(copy.flush())

    return growth(size)


@contextlib.contextmanager
def forked_stream(spec: Spec, content: bytes) -> Iterator[Measure]:
    """Yield the measure of a codec of ``FORKED``.

    Raises:
        ZipllmError: the process ended, for example because memory ran out.
    """
    command = [sys.executable, "-m", "zipllm.classify.forked", str(spec)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        sink, source = process.stdin, process.stdout

        def send(data: bytes) -> None:
            with contextlib.suppress(BrokenPipeError):  # the missing answer is the error
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
            with contextlib.suppress(BrokenPipeError):  # the buffer may hold unsent bytes
                sink.close()


def growth(size: Callable[[bytes], int]) -> Measure:
    """Return the measure of a coder whose archive has ``size(text)`` bytes with a text at its end."""
    empty = size(b"")

    def measure(texts: Sequence[bytes], advance: Advance) -> NDArray[np.float64]:
        found = np.empty(len(texts))
        for index, text in enumerate(texts):
            found[index] = 8 * (size(text) - empty)
            advance((index + 1) / len(texts))
        return found

    return measure
