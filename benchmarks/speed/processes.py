"""Whole commands of zipllm, each in a process of its own, its start included; decompressed content is compared."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial

from benchmarks.speed.row import KB, Row, Settings, Study, kb_per_second

SIZES = [KB << shift for shift in range(0, 18, 2)]


@dataclass(frozen=True)
class Case:
    """One file coded and decoded in one way.

    Attributes:
        bytes: of the text's beginning; None for all of it.
        options: of ``compress``.
        both: options of ``compress`` and ``decompress``.
        variables: environment variables of both.
        back: whether to decompress, too.
    """

    bytes: int | None = None
    options: tuple[str, ...] = ()
    both: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    back: bool = True


@dataclass(frozen=True)
class Cost:
    """What one process took: seconds on the clock, processor seconds, peak memory in bytes."""

    wall: float
    processor: float
    memory: int

    def row(self, raw_bytes: int) -> Row:
        return {
            "seconds": round(self.wall, 3),
            "processor_seconds": round(self.processor, 3),
            "peak_bytes": self.memory,
            "kb_per_second": kb_per_second(raw_bytes, self.wall),
        }


def code_cases(cases: list[Case], settings: Settings) -> Iterator[Row]:
    for case in cases:
        if case.bytes is None or case.bytes <= len(settings.text):
            yield from code(case, settings)


def study(*cases: Case) -> Study:
    return partial(code_cases, list(cases))


default = study(Case(), Case(options=("--no-verify",), back=False))
sizes = study(*(Case(size, ("--no-verify",)) for size in SIZES))
lanes = study(*(Case(256 * KB, ("--lanes", str(count))) for count in (1, 2, 4, 8, 16, 32, 64, 128)))
blocks = study(*(Case(1_000_000, ("--block-size", size)) for size in ("64K", "256K", "1M")))
threads = study(*(Case(1_000_000, both=("--threads", str(count))) for count in (1, 2)))
levels = study(*(Case(1_000_000, options) for options in (("-3",), ("-6", "--no-history"), ("-6",), ("-9",))))
reference = study(
    *(
        Case(size, ("--no-history", "--no-sample", "--no-verify"), variables={"ZIPLLM_KERNELS": kernels}, back=back)
        for size, back in ((32 * KB, True), (1_000_000, False))  # decoding by the reference is slow
        for kernels in ("reference", "cpu")
    )
)


def start(settings: Settings) -> Iterator[Row]:
    yield from code(Case(KB), settings)
    for command in (["--help"], ["list", str(settings.folder / "raw.zllm")], ["compress", "--help"]):
        cost = measure(command, {}, settings.repeat)
        yield {"what": " ".join(map(os.path.basename, command)), "raw_bytes": 0, **cost.row(0)}


def compile(settings: Settings) -> Iterator[Row]:
    """Run with an empty cache, once for each size and direction, whatever ``--repeat`` says."""
    raw, packed, back = (settings.folder / name for name in ("raw", "raw.zllm", "back"))
    for size in (KB, 64 * KB):
        raw.write_bytes(settings.text[:size])
        for command, source, target in (("compress", raw, packed), ("decompress", packed, back)):
            with tempfile.TemporaryDirectory(prefix="zipllm-cache-") as cache:
                words = [command, "-q", "-f", str(source), "-o", str(target)]
                cost = measure(words, {"NUMBA_CACHE_DIR": cache}, 1)
            yield {"what": f"{command}, nothing compiled", "raw_bytes": size, **cost.row(size)}


def code(case: Case, settings: Settings) -> Iterator[Row]:
    """Compress and decompress one file; yield both costs."""
    raw, packed, back = (settings.folder / name for name in ("raw", "raw.zllm", "back"))
    data = settings.text[: case.bytes]
    raw.write_bytes(data)
    options = [*case.options, *case.both]
    label = " ".join([*(f"{name}={value}" for name, value in case.variables.items()), *options])
    compress = ["compress", "-q", "-f", *options, str(raw), "-o", str(packed)]
    cost = measure(compress, case.variables, settings.repeat)
    same = {"options": label, "raw_bytes": len(data), "archive_bytes": packed.stat().st_size}
    yield {"what": f"compress {label}", **same, **cost.row(len(data))}
    if case.back:
        decompress = ["decompress", "-q", "-f", *case.both, str(packed), "-o", str(back)]
        cost = measure(decompress, case.variables, settings.repeat)
        if back.read_bytes() != data:
            sys.exit(f"{label}: the content differs")
        yield {"what": f"decompress {label}", **same, **cost.row(len(data))}


def measure(arguments: list[str], variables: dict[str, str], repeat: int) -> Cost:
    """Run one command of zipllm several times and return the median by wall time; exit if it fails."""
    costs = sorted((run(arguments, variables) for _ in range(repeat)), key=lambda cost: cost.wall)
    return costs[len(costs) // 2]


def run(arguments: list[str], variables: dict[str, str]) -> Cost:
    begin = time.perf_counter()
    command = [sys.executable, "-m", "zipllm", *arguments]
    process = subprocess.Popen(command, env=os.environ | variables, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(arguments)}: exit code {process.returncode}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)
