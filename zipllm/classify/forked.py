"""A process that compresses a text once, and then reports the size of the stream with each of many texts behind it.

    python -m zipllm.classify.forked CODEC

Standard input holds the first text, then the others, each preceded by its size (8 bytes, little-endian). Standard
output receives one size of 8 bytes for each of the others. A fork of this process compresses each of them, with the
coder's state as its own. The process has no other threads, so forking is safe.
"""

import bz2
import lzma
import os
import struct
import sys
from collections.abc import Callable
from typing import Any, BinaryIO

from zipllm.bench.protocol import Spec, parse_spec

_NUMBER = struct.Struct("<q")
_PPMD_MEMORY = 64 << 20
"""Less than the benchmark's, because every fork copies the pages it changes."""


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
    """Return a compressor with ``compress`` or ``encode``, and ``flush``; the caller has checked the settings."""
    setting = spec.settings[0]
    if spec.name == "ppmd":
        import pyppmd

        return pyppmd.Ppmd7Encoder(int(setting), _PPMD_MEMORY)
    if spec.name == "bzip2":
        return bz2.BZ2Compressor(int(setting))
    extreme = lzma.PRESET_EXTREME if setting.endswith("e") else 0
    return lzma.LZMACompressor(preset=int(setting.removesuffix("e")) | extreme)


def feed(stream: Any, data: bytes) -> bytes:
    """Return the bytes that a stream writes when it takes ``data``."""
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
