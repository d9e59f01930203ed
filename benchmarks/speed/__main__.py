"""Measure speed: python -m benchmarks.speed STUDY... --data-dir DIR --json rows.jsonl.

Of whole processes, each command run alone, its start included; decompressed content is compared:

    start      --help, list, and a file of 1 KB
    default    the whole text at the default level, with and without verification
    sizes      by file size: 1 KB, 4 KB, ... up to 64 MB or the whole text; without verification
    lanes      by lanes, on 256 KB
    blocks     by block size, on 1 MB
    threads    by threads, on 1 MB
    levels     -3, -6 without history, -6, -9, on 1 MB
    reference  the plain torch path beside the compiled one, without history
    compile    1 KB and 64 KB with kernels that have never been compiled

Within one process:

    shapes     tokens per second of random networks by width, layers, window and vocabulary
    stages     what the default costs, stage by stage
    kernels    microseconds a token of the network's parts: products, attention, frequencies
    coder      microseconds a token of coding without history
    guesses    one lane decoded with and without guesses, beside 16 lanes
    gpu        a CUDA device that blocks share, and its network alone
    training   a training step as configured and in eager float32

Other work on the machine inflates wall seconds, but hardly processor seconds.
"""

import argparse
import importlib
import json
import os
import sys
import tempfile
from pathlib import Path

import torch

from benchmarks.speed.row import Row, Settings, Study
from zipllm.bench.environment import environment

PROCESSES = ("default", "sizes", "lanes", "blocks", "threads", "levels", "reference", "start", "compile")
INSIDE = ("shapes", "stages", "kernels", "coder", "guesses", "gpu", "training")
"""Studies that run in this process, each in a module of its name."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("studies", nargs="*", metavar="STUDY", help="default: all of whole processes, and shapes")
    parser.add_argument("--text", default="enwik8[95M:99M]", help="a corpus, a slice of one, or a file")
    parser.add_argument("--data-dir", type=Path, help="where copies of the corpora are")
    parser.add_argument("--repeat", type=int, default=1, help="runs of each command; the median counts")
    parser.add_argument("--preset", default="small", help="of the network in 'training'")
    parser.add_argument("--seconds", type=float, default=60.0, help="of each variant of 'training'")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", help="of 'training'")
    parser.add_argument("--json", type=Path, help="append rows to it as JSON lines")
    arguments = parser.parse_args()
    if unknown := set(arguments.studies) - {*PROCESSES, *INSIDE}:
        parser.error(f"no such study: {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="zipllm-speed-") as folder:
        settings = Settings(
            Path(folder),
            arguments.text,
            arguments.data_dir,
            arguments.repeat,
            arguments.preset,
            arguments.seconds,
            arguments.device,
        )
        print(f"{'study':10} {'what':28} {'bytes':>10} {'s':>9} {'CPU s':>9} {'KB/s':>9} {'peak MB':>8}", flush=True)
        for name in arguments.studies or [*PROCESSES, "shapes"]:
            for row in find_study(name)(settings):
                report({"study": name, **row, "text": arguments.text, "environment": machine()}, arguments.json)


def find_study(name: str) -> Study:
    """Import the module of a study only when it is asked for: that of the GPU needs one."""
    module = importlib.import_module(f"benchmarks.speed.{name if name in INSIDE else 'processes'}")
    study: Study = getattr(module, name)
    return study


def report(row: Row, sink: Path | None) -> None:
    """Print a row and append it to the file."""
    peak = f"{row['peak_bytes'] / 1e6:8.0f}" if "peak_bytes" in row else ""
    numbers = f"{row.get('seconds', 0):9.2f} {row.get('processor_seconds', 0):9.2f} {row.get('kb_per_second', 0):9.2f}"
    head = f"{row['study']:10} {row['what']:28} {row['raw_bytes']:>10}"
    print(f"{head} {numbers} {peak} {row.get('note', '')}", flush=True)
    if sink is not None:
        with sink.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")


def machine() -> Row:
    return environment(sys.argv[1:], program="python -m benchmarks.speed") | {"load": round(os.getloadavg()[0], 2)}


if __name__ == "__main__":
    main()
