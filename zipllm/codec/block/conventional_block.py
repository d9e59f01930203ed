"""One block by a conventional codec (zstd, LZMA, bzip2), or stored: the fallback where prediction does not pay.

``container/FORMAT.md`` defines the payloads. The decoders here read hostile data: the block's raw size bounds their
output while they run, and every error inside a library becomes ``CorruptData``.
"""

import bz2
import lzma
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from threading import current_thread, main_thread
from typing import Any

import zstandard

from zipllm.codec.threads.work_queue import WorkQueue
from zipllm.container import Coding
from zipllm.errors import CorruptData
from zipllm.machine import threads

_DICTIONARY_BYTES = 1 << 24
"""Dictionary of the LZMA2 decoder, fixed by the format: the largest block."""

_ZSTD_WINDOW_LOG = 24
"""A frame may refer back over a whole block of 16 MiB, not further."""

_RAW_SIZE_FIELD = 4
"""Bytes of the largest block size as a varint."""

_STRONG_ZSTD_LEVEL = 19
_QUICK_ZSTD_LEVEL = 3
_QUICK_LZMA_PRESET = 1

_THREADS_FROM = 32 * 1024
"""Smaller blocks get no threads: starting them takes 0.1 ms."""

_LIBRARY_ERRORS = (lzma.LZMAError, zstandard.ZstdError, OSError, EOFError, ValueError)
"""What bz2, lzma and zstandard raise on damaged data (bz2: OSError and ValueError)."""

Candidate = tuple[Coding, bytes]
"""A coding and its payload."""


def stored(raw: bytes) -> Candidate:
    """The block itself."""
    return Coding.STORED, raw


def zstd_quick(raw: bytes) -> Candidate:
    """A fast level, but with matches over the whole block: 200 MB/s, and no repetition is missed."""
    return Coding.ZSTD, _zstd(raw, _QUICK_ZSTD_LEVEL, long_matches=True)


def zstd_strong(raw: bytes) -> Candidate:
    """The best level that needs no more memory to decode."""
    return Coding.ZSTD, _zstd(raw, _STRONG_ZSTD_LEVEL, long_matches=False)


def lzma_quick(raw: bytes) -> Candidate:
    """8 MB/s; shows most of LZMA's strength where its modeling wins (executables, tables)."""
    return Coding.LZMA, _lzma(raw, _QUICK_LZMA_PRESET)


def lzma_strong(raw: bytes) -> Candidate:
    """As ``xz -9e``."""
    return Coding.LZMA, _lzma(raw, lzma.PRESET_DEFAULT | lzma.PRESET_EXTREME)


def bz2_strong(raw: bytes) -> Candidate:
    """bzip2's largest work block, 900 kB."""
    return Coding.BZ2, bz2.compress(raw, 9)


QUICK = (lzma_quick, bz2_strong, zstd_quick)
"""Codecs that every block is tried with."""

STRONG = (lzma_strong, zstd_strong)
"""Codecs that are tried unless prediction has clearly won; a new codec joins one of the two."""


def each(raw: bytes, codecs: Sequence[Callable[[bytes], Candidate]]) -> list[Candidate]:
    """Return each codec's candidate.

    The codecs run in parallel, since the libraries release the interpreter's lock, and never in the main thread, which
    stays free for signals: a block takes xz up to ten seconds.
    """
    at_once = min(len(codecs), threads())
    if len(raw) < _THREADS_FROM or (at_once == 1 and current_thread() is not main_thread()):
        return [codec(raw) for codec in codecs]
    with WorkQueue(at_once) as queue:
        tasks = [queue.put(partial(codec, raw)) for codec in codecs]
        return [queue.wait(task) for task in tasks]


def smallest(candidates: Iterable[Candidate]) -> Candidate:
    """Return the shortest; of equals, the coding with the lowest number, which is the simplest."""
    return min(candidates, key=lambda candidate: (_size(candidate), candidate[0]))


def _size(candidate: Candidate) -> int:
    """Return the payload's size and that of the raw size field, which a stored block does not have."""
    coding, payload = candidate
    return len(payload) + (0 if coding is Coding.STORED else _RAW_SIZE_FIELD)


def decode_conventional_block(coding: Coding, payload: bytes, raw_size: int) -> bytes:
    """Undo any coding but those by prediction.

    Returns:
        Exactly ``raw_size`` bytes.

    Raises:
        CorruptData: the payload is not one whole stream of that many bytes.
    """
    if coding is Coding.STORED:
        return payload
    try:
        raw, whole = _DECODERS[coding](payload, raw_size)
    except _LIBRARY_ERRORS as error:
        raise CorruptData(f"a {coding.name.lower()} block does not decode: {error}") from error
    if len(raw) != raw_size or not whole:
        raise CorruptData(f"a {coding.name.lower()} block is not one stream of {raw_size} bytes")
    return raw


def _zstd(raw: bytes, level: int, long_matches: bool) -> bytes:
    """One frame without checksum and content size; the block header has both."""
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level,
        source_size=len(raw),
        window_log=min(_ZSTD_WINDOW_LOG, max(zstandard.WINDOWLOG_MIN, len(raw).bit_length())),
        enable_ldm=long_matches,
        write_content_size=False,
        write_checksum=False,
    )
    return zstandard.ZstdCompressor(compression_params=parameters).compress(raw)


def _lzma(raw: bytes, preset: int) -> bytes:
    """Raw LZMA2, since zipllm's container has its own checks and sizes; the dictionary spans the block."""
    dictionary = min(_DICTIONARY_BYTES, max(4096, 1 << len(raw).bit_length()))
    filters = [{"id": lzma.FILTER_LZMA2, "preset": preset, "dict_size": dictionary}]
    return lzma.compress(raw, format=lzma.FORMAT_RAW, filters=filters)


def _decode_zstd(payload: bytes, raw_size: int) -> tuple[bytes, bool]:
    """Measure the output with a bounded reader first, then decode.

    zstandard has no decoder that both bounds its output (``max_output_size`` is ignored if the frame states its own
    size) and tells where the frame ended.
    """
    decompressor = zstandard.ZstdDecompressor(max_window_size=1 << _ZSTD_WINDOW_LOG)
    if len(decompressor.stream_reader(payload, read_across_frames=False).read(raw_size + 1)) != raw_size:
        return b"", False
    stream = decompressor.decompressobj()
    return stream.decompress(payload), stream.eof and not stream.unused_data


def _decode_lzma(payload: bytes, raw_size: int) -> tuple[bytes, bool]:
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": _DICTIONARY_BYTES}]
    return _drain(lzma.LZMADecompressor(format=lzma.FORMAT_RAW, filters=filters), payload, raw_size)


def _decode_bz2(payload: bytes, raw_size: int) -> tuple[bytes, bool]:
    return _drain(bz2.BZ2Decompressor(), payload, raw_size)


def _drain(decompressor: Any, payload: bytes, raw_size: int) -> tuple[bytes, bool]:
    """Decode at most ``raw_size + 1`` bytes; also return whether the stream ended with the payload.

    The byte beyond the expected size lets the decoder reach its end mark and notice a longer stream.
    """
    raw = decompressor.decompress(payload, max_length=raw_size + 1)
    while len(raw) <= raw_size and not decompressor.eof and not decompressor.needs_input:
        more = decompressor.decompress(b"", max_length=raw_size + 1 - len(raw))
        if not more and not decompressor.eof:
            break
        raw += more
    return raw, decompressor.eof and not decompressor.unused_data


_DECODERS: dict[Coding, Callable[[bytes, int], tuple[bytes, bool]]] = {
    Coding.ZSTD: _decode_zstd,
    Coding.LZMA: _decode_lzma,
    Coding.BZ2: _decode_bz2,
}
"""A new codec: its number in ``container/block.py``, an encoder in ``QUICK`` or ``STRONG``, a decoder here, its errors
in ``_LIBRARY_ERRORS``, its payload in FORMAT.md."""
