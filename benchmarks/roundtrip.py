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
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import zstandard


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

    @property
    def bpb(self) -> float:
        return 8 * self.zipllm / max(1, self.raw)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--first", type=int, metavar="BYTES", help="only the first BYTES of each file")
    parser.add_argument("--last", type=int, metavar="BYTES", help="only the last BYTES of each file")
    parser.add_argument("--json", type=Path, help="write the rows as JSON lines")
    parser.add_argument("--options", default="", help="further options of zipllm compress, in one string")
    arguments = parser.parse_args()
    rows = []
    print(
        f"{'file':24} {'raw':>10} {'zipllm':>10} {'bpb':>6} {'xz':>6} {'zstd':>6} {'ppmd':>6} {'KB/s':>6} {'d KB/s':>7} {'MB':>6}"
    )
    for path in arguments.files:
        data = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
        data = data[: arguments.first] if arguments.first else data[-arguments.last :] if arguments.last else data
        row = round_trip(path.name.removesuffix(".xz"), data, arguments.options.split())
        rows.append(row)
        print_row(row)
        if arguments.json:
            note = {"command": " ".join(sys.argv), "machine": f"{platform.machine()}, {os.cpu_count()} cores"}
            lines = [note, *({**asdict(each), "bpb": round(each.bpb, 4)} for each in rows)]
            arguments.json.write_text("".join(json.dumps(line) + "\n" for line in lines))
    print(f"{len(rows)} files came back bit for bit")


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


def print_row(row: Row) -> None:
    def bpb(size: int | None) -> str:
        return "-" if size is None else f"{8 * size / max(1, row.raw):.3f}"

    print(
        f"{row.file:24} {row.raw:>10} {row.zipllm:>10} {row.bpb:>6.3f} {bpb(row.xz):>6} {bpb(row.zstd):>6} "
        f"{bpb(row.ppmd):>6} {row.compress_kb_s:>6} {row.decompress_kb_s:>7} {row.peak_mb:>6}",
        flush=True,
    )


if __name__ == "__main__":
    main()
