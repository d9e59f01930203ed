"""Pictures, sound and genomes of a data folder, as raw bytes, and PNG and FLAC to compare with.

A folder given with ``--data-dir`` may hold ``image/**/*.pgm*`` (8-bit gray) and ``audio/*44100hz_mono.s16le*`` (16-bit
little-endian samples). No study trains on them.
"""

import io
import re

import numpy as np
from numpy.typing import NDArray

from zipllm.data.local import Places, copy_verified, find_copies
from zipllm.data.reading import read_data
from zipllm.data.registry import corpora
from zipllm.errors import CorruptData, import_extra
from zipllm.experiments.material import Text

ROW = 128
"""Pixels in a row of the cutout of a picture."""
RATE = 44100
"""Samples a second, as the file names say."""
SPECIAL = {"image": ("PNG",), "audio": ("FLAC",)}
"""Codecs made for a kind of data."""
_PGM = re.compile(rb"P5\s+(?:#[^\n]*\n\s*)*(\d+)\s+(\d+)\s+255\s")


def find_media(kind: str, places: Places, size: int) -> Text | None:
    """Return about ``size`` bytes of ``image``, ``audio`` or ``dna`` to measure with, or None without such data."""
    return {"image": _image, "audio": _audio, "dna": _genome}[kind](places, size)


def _image(places: Places, size: int) -> Text | None:
    """Stack the middles of several pictures, each ``ROW`` wide."""
    paths = [path for folder in places.folders for path in sorted((folder / "image").glob("*/*.pgm*"))]
    chosen = paths[:: max(1, len(paths) // 4)][:4]
    if not chosen:
        return None
    rows = max(1, size // (ROW * len(chosen)))
    parts = []
    for path in chosen:
        picture = read_gray(read_data(path))
        top, left = (max(0, (whole - cut) // 2) for whole, cut in zip(picture.shape, (rows, ROW), strict=True))
        parts.append(picture[top : top + rows, left : left + ROW])
    return Text("image", b"", np.vstack(parts).tobytes(), ", ".join(path.name.split(".")[0] for path in chosen))


def read_gray(data: bytes) -> NDArray[np.uint8]:
    """Return the pixels ``[rows, columns]`` of a binary PGM file of 8 bits. Raises ``CorruptData``."""
    head = _PGM.match(data)
    if head is None:
        raise CorruptData("a picture is not a binary PGM file of 8 bits")
    columns, rows = int(head[1]), int(head[2])
    if len(data) - head.end() < columns * rows:
        raise CorruptData("a picture ends before its last row")
    return np.frombuffer(data, np.uint8, columns * rows, head.end()).reshape(rows, columns)


def _audio(places: Places, size: int) -> Text | None:
    """Return the middle of the first recording."""
    for folder in places.folders:
        for path in sorted((folder / "audio").glob("*44100hz_mono.s16le*")):
            data = read_data(path)
            begin = max(0, (len(data) - size) // 2) // 2 * 2
            return Text("audio", b"", data[begin : begin + size // 2 * 2], path.name.split(".")[0])
    return None


def _genome(places: Places, size: int) -> Text | None:
    large = corpora()["large"]
    file = next(file for file in large.files if file.name == "E.coli")
    for copy in find_copies(large, file, places):
        sink = io.BytesIO()
        copy_verified(copy, file, sink, slice(0, size))
        return Text("dna", b"", sink.getvalue(), "beginning of E.coli")
    return None


def special_size(name: str, data: bytes) -> int:
    """Return the size of a PNG or FLAC file, after decoding it and comparing.

    Raises:
        MissingPackage: its library is not installed.
        CorruptData: the decoded data differs.
    """
    file, back = (_png if name == "PNG" else _flac)(data)
    if back != data:
        raise CorruptData(f"{name} did not give back its input")
    return len(file)


def _png(data: bytes) -> tuple[bytes, bytes]:
    image = import_extra("PIL.Image", "pillow is not installed (pip install 'zipllm[media]')")
    sink = io.BytesIO()
    image.fromarray(np.frombuffer(data, np.uint8).reshape(-1, ROW)).save(sink, "PNG", optimize=True)
    return sink.getvalue(), image.open(io.BytesIO(sink.getvalue())).tobytes()


def _flac(data: bytes) -> tuple[bytes, bytes]:
    sound = import_extra("soundfile", "soundfile is not installed (pip install 'zipllm[media]')")
    sink = io.BytesIO()
    sound.write(sink, np.frombuffer(data, "<i2"), RATE, format="FLAC", subtype="PCM_16", compression_level=1.0)
    samples, _ = sound.read(io.BytesIO(sink.getvalue()), dtype="int16")
    return sink.getvalue(), samples.astype("<i2").tobytes()
