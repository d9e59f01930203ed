"""Conventional codecs through their Python libraries, which hold the same C code as the command-line tools.

A new one is a function here and its line in ``KINDS``.
"""

import bz2
import gzip
import hashlib
import lzma
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zipllm.bench.protocol import Codec, Facts, Kind, Spec, file_size
from zipllm.errors import UsageError, import_extra

_PPMD_MEMORY = 256 << 20
_DICTIONARY_BYTES = 112_640
"""The default size of ``zstd --train``."""
_SAMPLE_BYTES = 2048
_DICTIONARY_MAGIC = b"\x37\xa4\x30\xec"


def _copy(spec: Spec) -> Codec:
    """The baseline of every speed: reading and writing without coding."""
    return Codec(bytes, bytes)


def _gzip(spec: Spec) -> Codec:
    level = _level(spec, 0, 9)
    facts = Facts(str(level), program_bytes=_module_bytes("zlib"))
    return Codec(lambda data: gzip.compress(data, level, mtime=0), gzip.decompress, facts)


def _bzip2(spec: Spec) -> Codec:
    level = _level(spec, 1, 9)
    facts = Facts(str(level), program_bytes=_module_bytes("_bz2"))
    return Codec(lambda data: bz2.compress(data, level), bz2.decompress, facts)


def _xz(spec: Spec) -> Codec:
    plain = Spec(spec.name, tuple(setting.removesuffix("e") for setting in spec.settings))
    preset, extreme = _level(plain, 0, 9), spec.settings[0].endswith("e")
    facts = Facts(spec.settings[0], program_bytes=_module_bytes("_lzma"))
    flags = preset | (lzma.PRESET_EXTREME if extreme else 0)
    return Codec(lambda data: lzma.compress(data, preset=flags), lzma.decompress, facts)


def _zstd(spec: Spec) -> Codec:
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

    facts = Facts(
        "/".join("dict" if setting.startswith("dict=") else setting for setting in spec.settings),
        weights_bytes=len(dictionary.as_bytes()) if dictionary else 0,
        program_bytes=_module_bytes("zstandard.backend_c"),
        learned_from=(hashlib.sha256(learned).hexdigest(),) if learned else (),
    )
    return Codec(pack, unpack, facts)


def _zstd_dictionary(content: bytes) -> Any:
    """Load a dictionary, or train one on any other file; training is deterministic, so the decoder gets the same."""
    import zstandard

    if content.startswith(_DICTIONARY_MAGIC):
        return zstandard.ZstdCompressionDict(content)
    samples = [content[begin : begin + _SAMPLE_BYTES] for begin in range(0, len(content), _SAMPLE_BYTES)]
    try:
        return zstandard.train_dictionary(min(_DICTIONARY_BYTES, len(content) // 2), [*samples])
    except (zstandard.ZstdError, ValueError) as error:
        raise UsageError(f"no dictionary can be learned from this file: {error}") from error


def _brotli(spec: Spec) -> Codec:
    brotli = _import("brotli")
    level = _level(spec, 0, 11)
    facts = Facts(str(level), program_bytes=_module_bytes("_brotli"))
    return Codec(lambda data: brotli.compress(data, quality=level, lgwin=24), brotli.decompress, facts)


def _ppmd(spec: Spec) -> Codec:
    """PPMd variant H with 256 MB; the setting is the order. Its stream has no length, so the length goes in front.

    Tables often quote order 16, but with it pyppmd 1.3.1 does not give plrabn12.txt back.
    """
    pyppmd = _import("pyppmd")
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
        while len(data) < size:  # the decoder may stop early, or ask for one more byte than the stream has
            more = decoder.decode(b"\0" if decoder.needs_input else b"", size - len(data))
            if not more:
                break
            data += more
        return bytes(data)

    program = _module_bytes("pyppmd.c._ppmd") or _module_bytes("pyppmd.cffi._cffi_ppmd")
    return Codec(pack, unpack, Facts(str(order), program_bytes=program))


def _lz4(spec: Spec) -> Codec:
    frame = _import("lz4.frame")
    level = _level(spec, -16, 16)
    facts = Facts(str(level), program_bytes=_module_bytes("lz4.frame._frame"))
    return Codec(lambda data: frame.compress(data, compression_level=level), frame.decompress, facts)


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


def _import(name: str) -> Any:
    package = name.partition(".")[0]
    return import_extra(name, f"needs {package}, which is not installed: pip install 'zipllm[bench]'")


KINDS: Mapping[str, Kind] = {
    "copy": Kind(_copy),
    "gzip": Kind(_gzip, default=("9",)),
    "bzip2": Kind(_bzip2, default=("9",)),
    "xz": Kind(_xz, default=("9e",)),
    "zstd": Kind(_zstd, default=("22",)),
    "brotli": Kind(_brotli, "brotli", ("11",)),
    "ppmd": Kind(_ppmd, "pyppmd", ("12",)),
    "lz4": Kind(_lz4, "lz4", ("12",)),
}
