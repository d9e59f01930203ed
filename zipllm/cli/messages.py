"""Lines on stderr, and numbers as people read them."""

import contextlib
import sys

from zipllm.errors import LimitExceeded
from zipllm.files.names import PathError, escape_name, means_stdin

MEMORY_LIMITS = ("block_raw", "block_payload", "model_file", "memory")
_LIMIT_FLAGS = {"output": "--max-output", **dict.fromkeys(MEMORY_LIMITS, "--max-memory")}
"""The flags that raise the limits of ``zipllm.container.Limits``, by the limit's name; some limits have no flag."""
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB")


def display_name(name: str) -> str:
    """Return what to call a file, not escaped: ``stdin`` for ``-``."""
    return "stdin" if means_stdin(name) else name


def say(text: str) -> None:
    """Write one line to stderr, safe for a terminal; work goes on if nobody can read it."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):  # ValueError: closed meanwhile
            sys.stderr.write(escape_name(text) + "\n")
            sys.stderr.flush()


def complain(text: str) -> None:
    """Write one error line to stderr."""
    say(f"zipllm: {text}")


def explain_error(name: str | None, error: Exception) -> str:
    """Return what went wrong with a file (None: with the whole command) in one line, without "zipllm:"."""
    if isinstance(error, PathError):
        return str(error)  # names the file itself, which may be the output
    if isinstance(error, MemoryError):
        text = "out of memory (a smaller --block-size, fewer --lanes or --threads need less)"
    elif isinstance(error, OSError):
        text = error.strerror or str(error)
    elif isinstance(error, LimitExceeded):
        flag = _LIMIT_FLAGS.get(error.limit or "")
        text = f"{error} ({flag} raises it)" if flag else str(error)
    else:
        text = str(error) or type(error).__name__
    return text if name is None else f"{escape_name(display_name(name))}: {text}"


def format_size(size: int) -> str:
    """Return a number of bytes in at most four digits and a unit: ``999 B``, ``1.21 MiB``."""
    value, power = float(size), 0
    while value >= 999.5 and power < len(_UNITS) - 1:
        value, power = value / 1024, power + 1
    return f"{size} B" if power == 0 else f"{value:{'.0f' if value >= 99.95 else '.3g'}} {_UNITS[power]}"


def format_speed(raw_bytes: float, seconds: float) -> str:
    """Return bytes per second in units of 1000, as benchmarks do."""
    speed = raw_bytes / seconds if seconds > 0 else 0.0
    return f"{speed / 1e6:.2f} MB/s" if speed >= 1e6 else f"{speed / 1e3:.1f} KB/s"


def format_bpb(bits_per_byte: float | None) -> str:
    """Return bits per byte with three decimals, or a dash for empty data."""
    return "-" if bits_per_byte is None else f"{bits_per_byte:.3f}"
