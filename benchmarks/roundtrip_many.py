"""Send many real files there and back: python benchmarks/roundtrip_many.py [--data-dir DIR] [--files N].

Takes distinct files of all sizes from a data folder (or ``ZIPLLM_DATA_DIR``; ``.xz`` files are unpacked) and from
Python's own installation, in an order that depends only on the files. Compresses each twice, compares the archives,
decompresses one and compares that with the original. The history may code every file; the shipped model only files up
to ``--model-bytes``, because it would need hours for all.
"""

import argparse
import hashlib
import io
import lzma
import os
import sys
import sysconfig
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from zipllm.codec.decoder import DecodeOptions, decompress_stream
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.engine.engine import find_engine, load_engine
from zipllm.progress import Summary

CLASSES = (1, 1 << 10, 1 << 14, 1 << 18, 1 << 20, 1 << 40)
"""Upper bounds of the size classes of the table."""


@dataclass
class Count:
    files: int = 0
    raw: int = 0
    coded: int = 0
    codings: Counter[str] = field(default_factory=Counter)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--data-dir", type=Path, default=os.environ.get("ZIPLLM_DATA_DIR"), help="a folder of any files"
    )
    parser.add_argument("--files", type=int, default=400, metavar="N", help="number of distinct files")
    parser.add_argument("--model-bytes", type=int, default=4000, metavar="N", help="largest file for the model")
    parser.add_argument("--smallest", type=int, default=0, metavar="N", help="leave out smaller files")
    parser.add_argument("--largest", type=int, default=8 << 20, metavar="N", help="leave out larger files")
    arguments = parser.parse_args()
    folders = [Path(sysconfig.get_path("stdlib")), *([Path(arguments.data_dir)] if arguments.data_dir else [])]
    sizes = range(arguments.smallest, arguments.largest + 1)
    counts, failures, started = {bound: Count() for bound in CLASSES}, [], time.monotonic()
    for number, (path, data) in enumerate(distinct(folders, arguments.files, sizes), 1):
        summary = round_trip(data, with_model=len(data) <= arguments.model_bytes)
        if summary is None:
            failures.append(path)
            print(f"FAILED: {path}", flush=True)
        else:
            add(counts[next(bound for bound in CLASSES if len(data) < bound)], summary)
        if number % 50 == 0:
            print(f"{number} files, {time.monotonic() - started:.0f} s", file=sys.stderr)
    report(counts, failures, time.monotonic() - started)
    sys.exit(bool(failures))


def distinct(folders: list[Path], most: int, sizes: range) -> Iterator[tuple[Path, bytes]]:
    """Yield files of these sizes from each folder in turn, shuffled by the hash of their names, each content once."""
    seen: set[bytes] = set()
    for group in zip(*(cycle(shuffled(folder)) for folder in folders), strict=False):
        for path in group:
            if len(seen) == most:
                return
            data = content(path, sizes) if path else None
            if data is not None and (digest := hashlib.sha256(data).digest()) not in seen:
                seen.add(digest)
                yield path, data


def shuffled(folder: Path) -> list[Path]:
    files = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return sorted(files, key=lambda path: hashlib.sha256(str(path.relative_to(folder)).encode()).digest())


def cycle(paths: list[Path]) -> Iterator[Path | None]:
    """Yield the paths, then None for as long as a longer folder may need."""
    yield from paths
    for _ in range(1 << 20):
        yield None


def content(path: Path, sizes: range) -> bytes | None:
    try:
        data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    except (OSError, lzma.LZMAError):
        return None
    return data if len(data) in sizes else None


def round_trip(data: bytes, with_model: bool) -> Summary | None:
    """Return the summary of compressing, or None if anything differs."""
    archives, summary = [], None
    for verify in (False, not with_model):
        sink = io.BytesIO()
        engine = load_engine if with_model else None
        summary = compress_stream(io.BytesIO(data), sink, engine=engine, options=EncodeOptions(verify=verify))
        archives.append(sink.getvalue())
    back = io.BytesIO()
    decompress_stream(io.BytesIO(archives[0]), back, options=DecodeOptions(engines=find_engine))
    return summary if back.getvalue() == data and archives[0] == archives[1] else None


def add(count: Count, summary: Summary) -> None:
    count.files += 1
    count.raw += summary.raw_bytes
    count.coded += summary.coded_bytes
    count.codings.update(summary.codings)


def report(counts: dict[int, Count], failures: list[Path], seconds: float) -> None:
    print(f"{'size':>22} {'files':>6} {'bytes':>12} {'archives':>12}  blocks by coding")
    low = 0
    for bound, count in counts.items():
        size = f"{low} to {bound - 1}" if bound < CLASSES[-1] else f"{low} and more"
        kinds = ", ".join(f"{number} {name}" for name, number in sorted(count.codings.items()))
        print(f"{size:>22} {count.files:>6} {count.raw:>12} {count.coded:>12}  {kinds}")
        low = bound
    files, raw = sum(count.files for count in counts.values()), sum(count.raw for count in counts.values())
    print(f"{files} distinct files, {raw:,} bytes, {len(failures)} failures, {seconds:.0f} s")


if __name__ == "__main__":
    main()
