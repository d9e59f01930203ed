"""Send a large sparse input through pipes, both ways: python benchmarks/large_pipe.py [--bytes N].

Zeros with a random kilobyte here and there go through ``zipllm compress`` and ``zipllm decompress``, by pipes only.
Prints sizes, times and the peak memory of both processes; fails if the content differs or the memory exceeds
``--memory``.
"""

import argparse
import hashlib
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import IO

PIECE = 1 << 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bytes", type=int, default=2 << 30)
    parser.add_argument("--memory", type=int, default=1500 << 20, help="limit of peak memory, in bytes")
    parser.add_argument("--options", default="", help="further options of zipllm compress, in one string")
    arguments = parser.parse_args()
    wanted, peaks = hashlib.sha256(), list[int]()
    with tempfile.TemporaryFile() as archive:
        feed = (count(wanted, piece) for piece in pieces(arguments.bytes))
        peaks.append(run(["compress", "-c", *arguments.options.split()], feed, archive.write))
        size = archive.tell()
        archive.seek(0)
        found = hashlib.sha256()
        limit = ["--max-output", str(arguments.bytes)]
        peaks.append(run(["decompress", "-c", *limit], iter(lambda: archive.read(PIECE), b""), found.update))
    same = found.digest() == wanted.digest()
    print(f"{arguments.bytes:,} bytes => {size:,} bytes; {'same content' if same else 'CONTENT DIFFERS'}")
    sys.exit(not same or max(peaks) > arguments.memory)


def pieces(size: int) -> Iterator[bytes]:
    """Yield zeros, with one random kilobyte in every 64 MiB."""
    source, zeros = random.Random(1), bytes(PIECE)
    for number in range(0, size, PIECE):
        piece = zeros[: min(PIECE, size - number)]
        yield source.randbytes(1024) + piece[1024:] if number % (64 * PIECE) == 0 and len(piece) > 1024 else piece


def count(digest: "hashlib._Hash", piece: bytes) -> bytes:
    digest.update(piece)
    return piece


def run(arguments: list[str], feed: Iterator[bytes], take: Callable[[bytes], object]) -> int:
    """Run one command between two pipes; return its peak memory in bytes."""
    started = time.monotonic()
    command = [sys.executable, "-m", "zipllm", *arguments]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert process.stdin is not None
    assert process.stdout is not None
    writer = threading.Thread(target=pour, args=(feed, process.stdin))
    writer.start()
    while piece := process.stdout.read(PIECE):
        take(piece)
    writer.join()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"zipllm {arguments[0]} failed with {process.returncode}")
    peak = usage.ru_maxrss * 1024
    print(f"{arguments[0]}: {time.monotonic() - started:.0f} s, peak memory {peak >> 20} MiB", flush=True)
    return peak


def pour(feed: Iterator[bytes], sink: IO[bytes]) -> None:
    try:
        for piece in feed:
            sink.write(piece)
        sink.close()
    except BrokenPipeError:
        pass


if __name__ == "__main__":
    main()
