"""Payloads: put together by hand where a library's output could change, or recorded where only zipllm can make them."""

import bz2
import struct
from pathlib import Path

from tests.vectors.parts import KIB

RECORDED = Path(__file__).with_name("recorded")
"""What ``make_recorded.py`` wrote once: words of blocks coded by prediction, and a model file."""


def zstd_run(byte: int, count: int) -> bytes:
    """One zstd frame (RFC 8878): window of 128 KiB, no content size, no checksum, blocks of one repeated byte."""
    sizes = [128 * KIB] * (count // (128 * KIB)) + [count % (128 * KIB)]
    blocks = [struct.pack("<I", size << 3 | 1 << 1 | (index == len(sizes) - 1)) for index, size in enumerate(sizes)]
    return b"\x28\xb5\x2f\xfd\x00\x38" + b"".join(block[:3] + bytes([byte]) for block in blocks)


def lzma2_uncompressed(raw: bytes) -> bytes:
    """A raw LZMA2 stream: one chunk that resets the dictionary and is not compressed, then the end marker."""
    return b"\x01" + struct.pack(">H", len(raw) - 1) + raw + b"\x00"


def bzip2(raw: bytes) -> bytes:
    """One bzip2 stream; its library has made the same bytes for twenty years."""
    return bz2.compress(raw)


def recorded(name: str) -> bytes:
    """A payload that was recorded; the specification defines it only through a model or a mixer."""
    return (RECORDED / name).read_bytes()
