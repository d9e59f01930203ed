"""Sample rows and inputs, and external programs that misbehave in every known way."""

import json
import sys
from pathlib import Path
from typing import Any

from zipllm.bench.inputs import BenchInput
from zipllm.bench.result import Measurement, Row

DATA = b"to be or not to be, that is the question\n" * 50


def bench_input(folder: Path, data: bytes = DATA, file: str = "hamlet.txt", corpus: str = "files") -> BenchInput:
    path = folder / "raw"
    path.write_bytes(data)
    return BenchInput.of_file(corpus, file, path)


def measurement(seconds: float = 0.5, peak: int = 1 << 20) -> Measurement:
    return Measurement(seconds, seconds, 1, seconds, 0.1, peak, 0)


def row(codec: str, compressed: int, raw: int = 1000, **changes: Any) -> Row:
    weights, program = changes.pop("weights_bytes", 0), changes.pop("program_bytes", 10)
    seconds = changes.pop("seconds", 0.5)
    values: dict[str, Any] = {
        "corpus": "corpus",
        "file": "file",
        "sha256": "00" * 32,
        "raw_bytes": raw,
        "codec": codec,
        "verified": True,
        "compressed_bytes": compressed,
        "bits_per_byte": 8 * compressed / raw if raw else None,
        "ratio": raw / compressed,
        "weights_bytes": weights,
        "adjusted_bytes": compressed + weights,
        "program_bytes": program,
        "total_bytes": compressed + weights + program,
        "compress_s": seconds,
        "decompress_s": seconds / 2,
        "peak_rss": 1 << 20,
        "peak_vram": 0,
        "compress": measurement(seconds),
        "decompress": measurement(seconds / 2),
        "environment": {"cpu": "a processor", "date": "2026-11-24T00:00:00Z", "versions": {"torch": "2"}},
    }
    return Row(**{**values, **changes})


def failed(codec: str, **changes: Any) -> Row:
    values: dict[str, Any] = {"corpus": "corpus", "file": "file", "sha256": "00" * 32, "raw_bytes": 1000}
    return Row(**{**values, "codec": codec, "status": "crash", "message": "ended by SIGKILL", **changes})


_COPY = "import sys,shutil; shutil.copy(sys.argv[1], sys.argv[2])"
_FAULTS = {
    "honest": (_COPY, _COPY),
    "liar": (_COPY, "import sys; open(sys.argv[2],'wb').write(b'x' + open(sys.argv[1],'rb').read()[1:])"),
    "shortener": (_COPY, "import sys; open(sys.argv[2],'wb').write(open(sys.argv[1],'rb').read()[:-1])"),
    "fraud": ("import sys; open(sys.argv[2],'wb')", _COPY),
    "failing": ("import sys; sys.exit('no such luck')", _COPY),
    "silent": ("pass", _COPY),
    "hanging": (_COPY, "import time; time.sleep(60)"),
}


def programs(folder: Path) -> Path:
    """A TOML file with a program for every fault."""
    lines = ["[missing]", 'compress = "no-such-program-anywhere {in} {out}"', 'decompress = "x {in} {out}"']
    for name, scripts in _FAULTS.items():
        lines.append(f"[{name}]")
        for action, script in zip(("compress", "decompress"), scripts, strict=True):
            path = folder / f"{name}-{action}.py"
            path.write_text(script)
            lines.append(f"{action} = {json.dumps(f'{sys.executable} {path} {{in}} {{out}}')}")
        lines.append(f"timeout = {2 if name == 'hanging' else 60}")
    path = folder / "programs.toml"
    path.write_text("\n".join(lines))
    return path
