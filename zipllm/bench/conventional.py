"""The codecs everybody knows, through their Python libraries: the same C code as the command-line tools."""

import bz2
import gzip
import lzma
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from zipllm.bench.codecs import Facts, file_size, import_package
from zipllm.bench.spec import Spec
from zipllm.errors import UsageError

_PPMD_MEMORY = 256 << 20
_DICTIONARY_BYTES = 112_640
"""As ``zstd --train`` makes by default."""

_DICTIONARY_MAGIC = b"\x37\xa4\x30\xec"

Transform = Callable[[bytes], bytes]


@dataclass(frozen=True)
class LibraryCodec:
    """Two functions and what they are made of."""

    pack: Transform
    unpack: Transform
    facts: Facts

    def compress(self, data: bytes) -> bytes:
        return self.pack(data)

    def decompress(self, archive: bytes) -> bytes:
        return self.unpack(archive)


def open_codec(spec: Spec) -> LibraryCodec:
    """Open one of these codecs.

    Raises:
        MissingCodec: its library is not installed.
        UsageError: a setting it does not have.
    """
    return _OPENERS[spec.name](spec)


def _copy(spec: Spec) -> LibraryCodec:
    """The baseline of every speed: what reading and writing cost without coding."""
    return LibraryCodec(bytes, bytes, Facts())


def _gzip(spec: Spec) -> LibraryCodec:
    level = _level(spec, 0, 9)
    facts = Facts(str(level), program_bytes=_module_bytes("zlib"), versions=_versions())
    return LibraryCodec(lambda data: gzip.compress(data, level, mtime=0), gzip.decompress, facts)


def _bzip2(spec: Spec) -> LibraryCodec:
    level = _level(spec, 1, 9)
    facts = Facts(str(level), program_bytes=_module_bytes("_bz2"), versions=_versions())
    return LibraryCodec(lambda data: bz2.compress(data, level), bz2.decompress, facts)


def _xz(spec: Spec) -> LibraryCodec:
    plain = Spec(spec.name, tuple(setting.removesuffix("e") for setting in spec.settings))
    preset, extreme = _level(plain, 0, 9), spec.settings[0].endswith("e")
    facts = Facts(spec.settings[0], program_bytes=_module_bytes("_lzma"), versions=_versions())
    flags = preset | (lzma.PRESET_EXTREME if extreme else 0)
    return LibraryCodec(lambda data: lzma.compress(data, preset=flags), lzma.decompress, facts)


def _zstd(spec: Spec) -> LibraryCodec:
    """Settings: the level, ``long`` (matches over a window of 128 MiB), ``dict=FILE``."""
    import zstandard

    level = _level(Spec(spec.name, spec.settings[:1]), -7, 22)
    long_matches, dictionary, learned = False, None, b""
    for setting in spec.settings[1:]:
        if setting == "long":
            long_matches = True
        elif setting.startswith("dict="):
            learned = Path(setting.removeprefix("dict=")).read_bytes()
            dictionary = _zstd_dictionary(learned)
        else:
            raise UsageError(f"{spec}: unknown setting {setting!r} (known: long, dict=FILE)")

    def pack(data: bytes) -> bytes:
        long_options: dict[str, Any] = {"enable_ldm": True, "window_log": 27} if long_matches else {}
        parameters = zstandard.ZstdCompressionParameters.from_level(
            level, source_size=len(data), write_checksum=True, **long_options
        )
        return zstandard.ZstdCompressor(compression_params=parameters, dict_data=dictionary).compress(data)

    def unpack(archive: bytes) -> bytes:
        decompressor = zstandard.ZstdDecompressor(dict_data=dictionary, max_window_size=1 << 31)
        return decompressor.decompressobj().decompress(archive)

    return LibraryCodec(pack, unpack, _zstd_facts(spec, dictionary, learned))


def _zstd_facts(spec: Spec, dictionary: Any, learned: bytes) -> Facts:
    import hashlib

    import zstandard

    shown = tuple("dict" if setting.startswith("dict=") else setting for setting in spec.settings)
    return Facts(
        "/".join(shown),
        weights_bytes=len(dictionary.as_bytes()) if dictionary else 0,
        program_bytes=_module_bytes("zstandard.backend_c"),
        learned_from=(hashlib.sha256(learned).hexdigest(),) if learned else (),
        versions={**_versions("zstandard"), "zstd": ".".join(map(str, zstandard.ZSTD_VERSION))},
    )


def _zstd_dictionary(content: bytes) -> Any:
    """A dictionary as it is, or one learned from any other file; deterministic, so the decoder learns the same."""
    import zstandard

    if content.startswith(_DICTIONARY_MAGIC):
        return zstandard.ZstdCompressionDict(content)
    size = 2048
    samples: list[bytes | bytearray | memoryview] = [
        content[begin : begin + size] for begin in range(0, len(content), size)
    ]
    try:
        return zstandard.train_dictionary(min(_DICTIONARY_BYTES, len(content) // 2), samples)
    except (zstandard.ZstdError, ValueError) as error:
        raise UsageError(f"no dictionary can be learned from this file: {error}") from error


def _brotli(spec: Spec) -> LibraryCodec:
    brotli = import_package("brotli", "brotli")
    level = _level(spec, 0, 11)
    facts = Facts(str(level), program_bytes=_module_bytes("_brotli"), versions=_versions("brotli"))
    return LibraryCodec(lambda data: brotli.compress(data, quality=level, lgwin=24), brotli.decompress, facts)


def _ppmd(spec: Spec) -> LibraryCodec:
    """PPMd variant H with 256 MB; the setting is the order. Its stream has no length, so that goes in front.

    Not order 16 by default, though tables often quote it: pyppmd 1.3.1 then decodes plrabn12.txt to other bytes.
    """
    pyppmd = import_package("pyppmd", "pyppmd")
    order = _level(spec, 2, 64)
    options = {"max_order": order, "mem_size": _PPMD_MEMORY, "variant": "H"}

    def pack(data: bytes) -> bytes:
        size = len(data).to_bytes((len(data).bit_length() + 7) // 8, "little")
        return bytes([len(size)]) + size + (pyppmd.compress(data, **options) if data else b"")

    def unpack(archive: bytes) -> bytes:
        begin = 1 + archive[0]
        size = int.from_bytes(archive[1:begin], "little")
        decoder = pyppmd.Ppmd7Decoder(order, _PPMD_MEMORY)
        data = decoder.decode(archive[begin:], size) if size else b""
        while len(data) < size:  # it stops early at times, and its range coder may want one byte that is not there
            more = decoder.decode(b"\0" if decoder.needs_input else b"", size - len(data))
            if not more:
                break
            data += more
        return bytes(data)

    program = _module_bytes("pyppmd.c._ppmd") or _module_bytes("pyppmd.cffi._cffi_ppmd")
    return LibraryCodec(pack, unpack, Facts(str(order), program_bytes=program, versions=_versions("pyppmd")))


def _lz4(spec: Spec) -> LibraryCodec:
    frame = import_package("lz4.frame", "lz4")
    level = _level(spec, -16, 16)
    facts = Facts(str(level), program_bytes=_module_bytes("lz4.frame._frame"), versions=_versions("lz4"))
    return LibraryCodec(lambda data: frame.compress(data, compression_level=level), frame.decompress, facts)


_OPENERS: dict[str, Callable[[Spec], LibraryCodec]] = {
    "copy": _copy,
    "gzip": _gzip,
    "bzip2": _bzip2,
    "xz": _xz,
    "zstd": _zstd,
    "brotli": _brotli,
    "ppmd": _ppmd,
    "lz4": _lz4,
}


def _level(spec: Spec, lowest: int, highest: int) -> int:
    (text,) = spec.settings if len(spec.settings) == 1 else ("",)
    try:
        level = int(text)
    except ValueError:
        raise UsageError(f"{spec}: expected {spec.name}:N with N from {lowest} to {highest}") from None
    if not lowest <= level <= highest:
        raise UsageError(f"{spec}: {spec.name} has {lowest} to {highest}, not {level}")
    return level


def _module_bytes(name: str) -> int:
    """Size of the file a compiled module was loaded from; 0 if it is part of the interpreter."""
    return file_size(getattr(sys.modules.get(name), "__file__", None))


def _versions(package: str | None = None) -> dict[str, str]:
    return {} if package is None else {package: metadata.version(package)}
