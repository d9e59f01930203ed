"""Round trips through the installed command, beside xz and zstd: python benchmarks/roundtrip.py FILE...

Every file (``.xz`` is opened first) is compressed and decompressed by ``zipllm`` in processes of their own,
compared with the original, and deleted again. A row holds sizes in bytes, bits per byte, whole-process speed
in KB/s (start-up, model loading and the verifying decode included) and the largest peak memory of both
processes. PPMd (order 16, variant H, 256 MB) is shown where pyppmd is installed.
"""

import argparse
import json
import lzma
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

import zstandard

from zipllm.model.store import ModelStore

DEFAULT_MODEL = ModelStore.default().find().path
HEADING = (
    f"{'file':22} {'bytes':>9} {'archive':>9} {'zipllm':>6} {'xz -9e':>6} {'zstd22':>6} {'ppmd':>6} "
    f"{'KB/s in':>7} {'KB/s out':>7} {'MB RAM':>6}"
)


@dataclass(frozen=True)
class Row:
    file: str
    raw: int
    zipllm: int
    xz: int
    zstd: int
    ppmd: int | None
    codings: dict[str, int]
    compress_kb_s: float
    decompress_kb_s: float
    peak_mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--first", type=int, metavar="BYTES", help="only the first BYTES of each file")
    parser.add_argument("--last", type=int, metavar="BYTES", help="only the last BYTES of each file")
    parser.add_argument("--json", type=Path, help="write the rows as JSON lines")
    parser.add_argument("--options", default="", help="further options of zipllm compress, in one string")
    arguments = parser.parse_args()
    rows = []
    print(HEADING)
    for path in arguments.files:
        data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        data = data[: arguments.first] if arguments.first else data[-arguments.last :] if arguments.last else data
        rows.append(round_trip(path.name.removesuffix(".xz"), data, arguments.options.split()))
        print(line(rows[-1]), flush=True)
        if arguments.json:
            write_json(arguments.json, rows)
    print_totals(rows)


def round_trip(name: str, data: bytes, options: list[str]) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        source, archive, back = (Path(folder) / part for part in ("data", "data.zllm", "back"))
        source.write_bytes(data)
        result, seconds, peak = run("compress", str(source), "-o", str(archive), *options)
        result_back, seconds_back, peak_back = run("decompress", str(archive), "-o", str(back))
        if back.read_bytes() != data or result_back["sha256"] != result["sha256"]:
            raise SystemExit(f"{name} did not come back")
        return Row(
            file=name,
            raw=len(data),
            zipllm=archive.stat().st_size,
            xz=len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME)),
            zstd=len(zstandard.ZstdCompressor(level=22).compress(data)),
            ppmd=ppmd_size(data),
            codings=result["codings"],
            compress_kb_s=round(len(data) / seconds / 1e3, 1),
            decompress_kb_s=round(len(data) / seconds_back / 1e3, 1),
            peak_mb=round(max(peak, peak_back) / 1e6, 1),
        )


def run(*arguments: str) -> tuple[dict, float, int]:
    """Run ``zipllm ARGUMENTS --json``; returns its result, wall seconds, and peak memory in bytes."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "zipllm", *arguments, "--json"], stdout=subprocess.PIPE)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"zipllm {arguments[0]} failed with {process.returncode}")
    return json.loads(output), time.perf_counter() - started, usage.ru_maxrss * 1024


def ppmd_size(data: bytes) -> int | None:
    try:
        import pyppmd
    except ImportError:
        return None
    return len(pyppmd.compress(data, max_order=16, mem_size=256 << 20, variant="H"))


def line(row: Row) -> str:
    sizes = " ".join(f"{bpb(size, row.raw):>6}" for size in (row.zipllm, row.xz, row.zstd, row.ppmd))
    speeds = f"{row.compress_kb_s:>7} {row.decompress_kb_s:>7} {row.peak_mb:>6}"
    return f"{row.file:22} {row.raw:>9} {row.zipllm:>9} {sizes} {speeds}  {'+'.join(row.codings)}"


def bpb(size: int | None, raw: int) -> str:
    return "-" if size is None else f"{8 * size / max(1, raw):.3f}"


def print_totals(rows: list[Row]) -> None:
    """The sum of the files, and what it means with the weights counted."""
    raw, coded, xz = (sum(getattr(row, name) for row in rows) for name in ("raw", "zipllm", "xz"))
    weights = DEFAULT_MODEL.stat().st_size
    print(f"{len(rows)} files came back bit for bit: {raw:,} bytes, {coded:,} as archives ({bpb(coded, raw)} bpb)")
    print(f"with the weights ({weights:,} bytes): {coded + weights:,} bytes ({bpb(coded + weights, raw)} bpb)")
    print(f"with the program too ({program_bytes():,} bytes of Python): {coded + weights + program_bytes():,} bytes")
    if xz > coded:
        even = weights * raw / (xz - coded) / 1e6
        print(f"the weights have paid for themselves against xz after {even:,.0f} MB like these")


def program_bytes() -> int:
    """Source of zipllm itself; torch, numba and the others come on top, as Python does."""
    return sum(path.stat().st_size for path in DEFAULT_MODEL.parents[1].rglob("*.py"))


def write_json(path: Path, rows: list[Row]) -> None:
    versions = {name: metadata.version(name) for name in ("torch", "numpy", "numba", "constriction", "zstandard")}
    note = {
        "command": " ".join(["benchmarks/roundtrip.py", *map(without_folder, sys.argv[1:])]),
        "date": time.strftime("%Y-%m-%d"),
        "cores": os.cpu_count(),
        "processor": processor(),
        "python": platform.python_version(),
        "versions": versions,
    }
    lines = [note, *({**asdict(row), "bits_per_byte": round(8 * row.zipllm / max(1, row.raw), 4)} for row in rows)]
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))


def without_folder(argument: str) -> str:
    """Where the files lie on this machine is nobody's business."""
    return argument if argument.startswith("-") else Path(argument).name


def processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", cpuinfo.read_text()) if cpuinfo.exists() else None
    return found[1] if found else platform.processor()


if __name__ == "__main__":
    main()
