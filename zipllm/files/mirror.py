"""Many files at once: results in a folder of their own, what is already done, and what is compressed already."""

import os
import stat

from zipllm.files.names import PathError

_NAMES = (
    ".7z .aac .apk .avi .avif .br .bz2 .cab .deb .docx .epub .flac .gif .gz .heic .jar .jpeg .jpg .jxl "
    ".lz4 .lzma .lzo .m4a .m4v .mkv .mov .mp3 .mp4 .odt .ogg .opus .png .pptx .rar .rpm .tgz .txz .webm "
    ".webp .whl .woff2 .xlsx .xz .zip .zllm .zst "
)
PACKED = frozenset(_NAMES.split())
"""Suffixes of formats that are compressed."""
_SAME_TIME_NS = 2_000_000_000  # FAT keeps times to two seconds


def is_packed(path: str) -> bool:
    """Whether the name is that of a compressed format."""
    return os.path.splitext(path)[1].lower() in PACKED


def mirrored(path: str, folder: str) -> str:
    """Return where ``path`` lies below ``folder``: its own folders and name stay as they are.

    Raises:
        PathError: it lies outside of the working folder by ``..``, so there is no such place.
    """
    below = os.path.normpath(path).lstrip("/")
    if below.split("/")[0] == "..":
        raise PathError(path, "has no place below --output-dir because of '..'", "start from a folder above it")
    return os.path.join(folder, below)


def make_folders(path: str, source: str) -> None:
    """Make the folders that hold ``path``, a mirrored name; who may not enter the source's may not enter them.

    Raises:
        PathError: a folder cannot be made.
    """
    missing = []
    folder, origin = os.path.dirname(path), os.path.dirname(source)
    while folder and not os.path.isdir(folder):
        missing.append((folder, origin or "."))
        folder, origin = os.path.dirname(folder), os.path.dirname(origin)
    for folder, origin in reversed(missing):
        try:
            mode = stat.S_IMODE(os.stat(origin).st_mode) & 0o777 | stat.S_IRWXU
            os.mkdir(folder, mode)
        except FileExistsError:
            continue  # another process was faster
        except OSError as error:
            raise PathError.from_os(folder, error) from error


def is_done(path: str, source: str) -> bool:
    """Whether ``path`` is a result of the source as it is now: results carry the time of their source."""
    try:
        result, now = os.stat(path), os.stat(source)
    except OSError:
        return False
    same = abs(result.st_mtime_ns - now.st_mtime_ns) < _SAME_TIME_NS
    return same and stat.S_ISREG(result.st_mode) and not os.path.samestat(result, now)
