"""The same archive in every cell: python benchmarks/determinism.py [--python PATH]...

Each cell is a process of its own, with other threads, kernels, processor features or libraries; it compresses the same
inputs and prints the SHA-256 of all archives. ``--python`` adds the interpreters of other environments (the oldest and
newest numpy, torch, numba, or another Python), in each of which zipllm must be importable. Exits with 1 if two cells
differ. A cell whose feature this processor lacks still runs: the library falls back to what there is.
"""

import argparse
import hashlib
import os
import platform
import random
import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "zipllm" / "container" / "FORMAT.md"

CELLS: dict[str, dict[str, str]] = {
    "as it is": {},
    "1 thread": {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "CELL_THREADS": "1"},
    "2 threads": {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2", "CELL_THREADS": "2"},
    "reference, 1 thread": {"ZIPLLM_KERNELS": "reference", "CELL_THREADS": "1"},
    "compiled kernels": {"ZIPLLM_KERNELS": "cpu"},
    **{
        f"ATen {isa}, {kernels}": {"ATEN_CPU_CAPABILITY": isa, "ZIPLLM_KERNELS": kernels, "CELL_THREADS": "1"}
        for isa in ("default", "avx2", "avx512")
        for kernels in ("reference", "cpu")
    },
    **{
        f"oneDNN {isa}": {"ONEDNN_MAX_CPU_ISA": isa, "ZIPLLM_KERNELS": "reference", "CELL_THREADS": "1"}
        for isa in ("SSE41", "AVX2", "AVX512_CORE")
    },
    "MKL compatible": {"MKL_CBWR": "COMPATIBLE", "ZIPLLM_KERNELS": "reference", "CELL_THREADS": "1"},
    "PYTHONHASHSEED=7": {"PYTHONHASHSEED": "7"},
    "reference, 2 threads": {"ZIPLLM_KERNELS": "reference", "CELL_THREADS": "2"},
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", default=[], metavar="PATH", help="another interpreter")
    parser.add_argument("--cells", default="", metavar="REGEX", help="only the cells whose name matches")
    parser.add_argument("--bytes", type=int, default=300, help="of text that the model codes in every cell")
    parser.add_argument("--cell", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cell:
        print(versions(), digest(arguments.bytes), sep="\n")
        return
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} processors, {arguments.bytes} bytes of text")
    found = set()
    for python in [sys.executable, *arguments.python]:
        chosen = {name: cell for name, cell in CELLS.items() if re.search(arguments.cells, name)}
        cells = chosen if python == sys.executable else {"as it is": {}, "reference": CELLS["reference, 1 thread"]}
        for name, environment in cells.items():
            libraries, archive = run(python, environment, arguments.bytes)
            found.add(archive)
            print(f"| {name:24} | {libraries:58} | {archive[:16]} |", flush=True)
    print(f"{len(found)} different hash{'es' if len(found) != 1 else ''}")
    sys.exit(len(found) != 1)


def run(python: str, environment: dict[str, str], size: int) -> tuple[str, str]:
    command = [python, str(Path(__file__).resolve()), "--cell", "--bytes", str(size)]
    quiet = {"OMP_WAIT_POLICY": "PASSIVE"}  # waiting threads leave the processor to others: faster on a busy machine
    given = {**os.environ, "PYTHONPATH": str(ROOT), **quiet, **environment}
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    if done.returncode:
        return done.stderr.strip().splitlines()[-1][:58], f"failed with {done.returncode}"
    libraries, archive = done.stdout.splitlines()[-2:]
    return libraries, archive


def versions() -> str:
    packages = ("torch", "numpy", "numba", "tokenizers")
    return " ".join([f"py{platform.python_version()}", *(f"{name} {metadata.version(name)}" for name in packages)])


def digest(size: int) -> str:
    """SHA-256 over the archives of a text, of random bytes and of both, by the model everywhere."""
    import io

    import torch

    from zipllm.codec.encoder import compress_stream
    from zipllm.codec.engine import load_engine
    from zipllm.codec.options import EncodeOptions

    if "CELL_THREADS" in os.environ:
        torch.set_num_threads(int(os.environ["CELL_THREADS"]))
    text, noise = PAGE.read_bytes()[:size], random.Random(1).randbytes(200)
    total = hashlib.sha256()
    for data, options in (
        (text, EncodeOptions(lanes=1, fallback=False)),
        (text + noise, EncodeOptions(lanes=3, fallback=False, block_size=size)),
        (text[:300], EncodeOptions()),
    ):
        sink = io.BytesIO()
        compress_stream(io.BytesIO(data), sink, engine=load_engine, options=options)
        total.update(sink.getvalue())
    return total.hexdigest()


if __name__ == "__main__":
    main()
