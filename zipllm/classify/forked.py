"""A process that compresses a text once, and then says how long the stream gets with each of many texts behind it.

    python -m zipllm.classify.forked CODEC

Standard input: the text, then the others, each behind its size (8 bytes, little-endian). Standard output: a size for
each of the others, as 8 bytes. Every one is compressed by a fork of this process, which has the coder's state for its
own. Nothing else runs here, so that forking is safe.
"""

import bz2
import lzma
import os
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

from zipllm.bench.spec import Spec, parse_spec

_NUMBER = struct.Struct("<q")
_PPMD_MEMORY = 64 << 20
"""Less than the benchmark's, for every fork has the pages of what was used."""


def main() -> None:
    """Serve until standard input ends."""
    source, sink = sys.stdin.buffer, sys.stdout.fileno()
    stream = open_stream(parse_spec(sys.argv[1]))
    written = len(feed(stream, _read(source)))
    while True:
        try:
            text = _read(source)
        except EOFError:
            return
        child = os.fork()
        if child == 0:
            _answer(sink, lambda text=text: written + len(feed(stream, text)) + len(stream.flush()))  # type: ignore[misc]
        if os.waitpid(child, 0)[1] != 0:
            sys.exit(1)


def open_stream(spec: Spec) -> Any:
    """Return a compressor with ``compress`` or ``encode``, and ``flush``; the spec is one that the benchmark opens."""
    setting = spec.settings[0]
    if spec.name == "ppmd":
        import pyppmd

        return pyppmd.Ppmd7Encoder(int(setting), _PPMD_MEMORY)
    if spec.name == "bzip2":
        return bz2.BZ2Compressor(int(setting))
    extreme = lzma.PRESET_EXTREME if setting.endswith("e") else 0
    return lzma.LZMACompressor(preset=int(setting.removesuffix("e")) | extreme)


def feed(stream: Any, data: bytes) -> bytes:
    """Return what a stream writes for some more bytes."""
    written: bytes = (stream.encode if hasattr(stream, "encode") else stream.compress)(data)
    return written


def _answer(sink: int, size: Callable[[], int]) -> None:
    """Write one number and end this process, whatever happens."""
    code = 1
    try:
        os.write(sink, _NUMBER.pack(size()))
        code = 0
    finally:
        os._exit(code)


def _read(source: BinaryIO) -> bytes:
    head = source.read(_NUMBER.size)
    if len(head) < _NUMBER.size:
        raise EOFError
    return source.read(_NUMBER.unpack(head)[0])


if __name__ == "__main__":
    main()
