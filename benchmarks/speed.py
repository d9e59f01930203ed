"""How fast zipllm is, as whole processes: python benchmarks/speed.py --data-dir DIR --json speed.jsonl [STUDY]...

Every row is one command run by itself, its start included; what is decompressed is compared. Studies:

    start      --help, list, and a file of 1 KB
    default    the whole text at the default level, with and without verification
    sizes      by file size: 1 KB, 4 KB, ... as far as the text goes, up to 64 MB; without verification, which decodes
    lanes      by lanes, on 256 KB
    blocks     by block size, on 1 MB
    threads    by threads, on 1 MB
    levels     -3, -6 without history, -6, -9, on 1 MB
    reference  the plain torch path beside the compiled one, on 32 KB both ways, on 1 MB (slow to decode) one way
    compile    1 KB and 64 KB with kernels that have never been compiled
    shapes     tokens per second of random networks by width, layers, window and vocabulary (in this process)
    stages     what the default costs, stage by stage (in this process); also --profile
    kernels    microseconds a token of the network's parts: products, attention, frequencies (in this process)
    coder      microseconds a token of coding without history (in this process)
    gpu        a CUDA device that blocks share, and its network alone (in this process)

The median of ``--repeat`` runs counts. A busy machine makes wall seconds too large, processor seconds hardly.
"""

import argparse
import importlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zipllm.bench.environment import environment
from zipllm.bench.inputs import prepare_inputs
from zipllm.data.local import Places

KB, MB = 1024, 1 << 20
SIZES = [KB << shift for shift in range(0, 18, 2)]


@dataclass(frozen=True)
class Case:
    """One file coded and decoded in one way.

    Attributes:
        bytes: of the text's beginning; None for all of it.
        options: of ``compress``.
        both: given to ``decompress`` as well.
        variables: environment variables of both.
        back: whether to decompress, too.
    """

    bytes: int | None = None
    options: tuple[str, ...] = ()
    both: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)
    back: bool = True


CASES: dict[str, list[Case]] = {
    "default": [Case(), Case(options=("--no-verify",), back=False)],
    "sizes": [Case(size, ("--no-verify",)) for size in SIZES],
    "lanes": [Case(256 * KB, ("--lanes", str(lanes))) for lanes in (1, 2, 4, 8, 16, 32, 64, 128)],
    "blocks": [Case(1_000_000, ("--block-size", size)) for size in ("64K", "256K", "1M")],
    "threads": [Case(1_000_000, both=("--threads", str(threads))) for threads in (1, 2)],
    "levels": [Case(1_000_000, options) for options in (("-3",), ("-6", "--no-history"), ("-6",), ("-9",))],
    "reference": [
        Case(size, ("--no-history", "--no-sample", "--no-verify"), variables={"ZIPLLM_KERNELS": kernels}, back=back)
        for size, back in ((32 * KB, True), (1_000_000, False))
        for kernels in ("reference", "cpu")
    ],
}
INSIDE = {
    "shapes": "speed_inside",
    "stages": "speed_inside",
    "kernels": "speed_kernels",
    "coder": "speed_coder",
    "gpu": "speed_gpu",
}
"""Studies in this process, and their modules."""
OTHERS = ("start", "compile", *INSIDE)


@dataclass(frozen=True)
class Cost:
    """What one process took: seconds on the clock, seconds of processors, most bytes of memory."""

    wall: float
    processor: float
    memory: int

    def row(self, raw_bytes: int) -> dict[str, Any]:
        return {
            "seconds": round(self.wall, 3),
            "processor_seconds": round(self.processor, 3),
            "peak_bytes": self.memory,
            "kb_per_second": round(raw_bytes / self.wall / 1000, 2),
        }


def main() -> None:
    arguments = parse()
    with tempfile.TemporaryDirectory(prefix="zipllm-speed-") as folder:
        text = read_text(arguments, Path(folder))
        bench = Bench(Path(folder), text, arguments.repeat)
        print(f"{'study':10} {'what':28} {'bytes':>10} {'s':>9} {'CPU s':>9} {'KB/s':>9} {'peak MB':>8}", flush=True)
        for study in arguments.studies:
            for row in bench.run(study):
                report(row | {"text": arguments.text, "environment": machine()}, arguments.json)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*CASES, *OTHERS]
    parser.add_argument(
        "studies", nargs="*", metavar="STUDY", help=f"of {', '.join(names)}; none: all but stages, kernels, coder, gpu"
    )
    parser.add_argument("--profile", action="store_true", help="the study 'stages' alone")
    parser.add_argument("--text", default="enwik8[95M:99M]", help="a corpus, a slice of one, or a file")
    parser.add_argument("--data-dir", type=Path, help="where copies of the corpora are")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each command")
    parser.add_argument("--json", type=Path, help="rows are added to it as JSON lines")
    arguments = parser.parse_args()
    if unknown := set(arguments.studies) - set(names):
        parser.error(f"no such study: {', '.join(sorted(unknown))}")
    arguments.studies = ["stages"] if arguments.profile else arguments.studies or [*CASES, "start", "compile", "shapes"]
    return arguments


def read_text(arguments: argparse.Namespace, folder: Path) -> bytes:
    inputs = prepare_inputs([arguments.text], Places.default(arguments.data_dir), folder)
    return b"".join(found.path.read_bytes() for found in inputs)


class Bench:
    """Runs studies on one text."""

    def __init__(self, folder: Path, text: bytes, repeat: int) -> None:
        self._folder = folder
        self._text = text
        self._repeat = repeat
        self._names = {name: str(folder / name) for name in ("raw", "raw.zllm", "back")}

    def run(self, study: str) -> Iterator[dict[str, Any]]:
        if study in CASES:
            for case in CASES[study]:
                if case.bytes is None or case.bytes <= len(self._text):
                    yield from ({"study": study, **row} for row in self._code(case))
        elif study == "start":
            yield from ({"study": study, **row} for row in self._start())
        elif study == "compile":
            yield from ({"study": study, **row} for row in self._compile())
        else:
            module = importlib.import_module(INSIDE[study])
            inside: Callable[[bytes], Iterator[dict[str, Any]]] = getattr(module, study)
            yield from ({"study": study, **row} for row in inside(self._text))

    def _code(self, case: Case) -> Iterator[dict[str, Any]]:
        """Compress and decompress one file; both costs."""
        raw = self._text[: case.bytes]
        Path(self._names["raw"]).write_bytes(raw)
        options, variables = [*case.options, *case.both], case.variables
        compress = ["compress", "-q", "-f", *options, self._names["raw"], "-o", self._names["raw.zllm"]]
        cost = self._measure(compress, variables)
        label = " ".join([*(f"{name}={value}" for name, value in variables.items()), *options])
        packed = os.path.getsize(self._names["raw.zllm"])
        same = {"options": label, "raw_bytes": len(raw), "archive_bytes": packed}
        yield {"what": f"compress {label}", **same, **cost.row(len(raw))}
        if case.back:
            cost = self._measure(
                ["decompress", "-q", "-f", *case.both, self._names["raw.zllm"], "-o", self._names["back"]], variables
            )
            if Path(self._names["back"]).read_bytes() != raw:
                sys.exit(f"{label}: the content differs")
            yield {"what": f"decompress {label}", **same, **cost.row(len(raw))}

    def _start(self) -> Iterator[dict[str, Any]]:
        yield from self._code(Case(KB))
        for command in (["--help"], ["list", self._names["raw.zllm"]], ["compress", "--help"]):
            cost = self._measure(command, {})
            yield {"what": " ".join(map(os.path.basename, command)), "raw_bytes": 0, **cost.row(0)}

    def _compile(self) -> Iterator[dict[str, Any]]:
        """The first run of all: with an empty cache, once for each size and direction, whatever ``--repeat`` says."""
        once = Bench(self._folder, self._text, repeat=1)
        for size in (KB, 64 * KB):
            for back in (False, True):
                with tempfile.TemporaryDirectory(prefix="zipllm-cache-") as cache:
                    variables = {"NUMBA_CACHE_DIR": cache}
                    if not back:
                        row = next(once._code(Case(size, variables=variables, back=False)))
                    else:
                        *_, row = self._code(Case(size, both=(), variables={}))
                        command = ["decompress", "-q", "-f", self._names["raw.zllm"], "-o", self._names["back"]]
                        row |= measure(command, variables).row(size)
                yield row | {"what": ("decompress" if back else "compress") + ", nothing compiled", "options": ""}

    def _measure(self, command: list[str], variables: dict[str, str]) -> Cost:
        costs = [measure(command, variables) for _ in range(self._repeat)]
        return sorted(costs, key=lambda cost: cost.wall)[len(costs) // 2]


def measure(arguments: list[str], variables: dict[str, str]) -> Cost:
    """Run one command of zipllm; leaves the program with its message if it fails."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "zipllm", *arguments], env=os.environ | variables, stdout=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(arguments)}: exit code {process.returncode}")
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def report(row: dict[str, Any], sink: Path | None) -> None:
    """Print a row and keep it."""
    peak = f"{row['peak_bytes'] / 1e6:8.0f}" if "peak_bytes" in row else ""
    numbers = f"{row.get('seconds', 0):9.2f} {row.get('processor_seconds', 0):9.2f} {row.get('kb_per_second', 0):9.2f}"
    print(
        f"{row['study']:10} {row['what']:28} {row['raw_bytes']:>10} {numbers} {peak} {row.get('note', '')}", flush=True
    )
    if sink is not None:
        with sink.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def machine() -> dict[str, Any]:
    return environment(sys.argv[1:], program="python benchmarks/speed.py") | {"load": round(os.getloadavg()[0], 2)}


if __name__ == "__main__":
    main()
