"""Check that every cell writes the same archives: python benchmarks/determinism.py [--python PATH]...

Each cell is a process (``determinism_cell.py``) with other threads, kernels, processor features or libraries. It codes
the same inputs by the history alone and by the model, and rewrites golden archives. ``--python`` adds the interpreters
of other environments (the oldest and newest numpy, torch, numba, or another Python), which must be able to import
zipllm; one without torch runs the history only. Exits with 1 if two cells differ. A cell whose feature this processor
lacks still runs: the library falls back to what the processor has.
"""

import argparse
import json
import os
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

CELL = Path(__file__).with_name("determinism_cell.py")
ONE = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "CELL_THREADS": "1"}
TWO = {"OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2", "CELL_THREADS": "2"}
REFERENCE = {"ZIPLLM_KERNELS": "reference", **ONE}
NO_AVX512 = "AVX512F AVX512CD AVX512_SKX AVX512_CLX AVX512_CNL AVX512_ICL AVX512_SPR"

CELLS: dict[str, dict[str, str]] = {
    "as it is": {},
    "1 thread": ONE,
    "2 threads": TWO,
    "compiled kernels": {"ZIPLLM_KERNELS": "cpu"},
    "reference, 1 thread": REFERENCE,
    "reference, 2 threads": {**REFERENCE, **TWO},
    **{
        f"ATen {isa}, {kernels}": {**ONE, "ATEN_CPU_CAPABILITY": isa, "ZIPLLM_KERNELS": kernels}
        for isa in ("default", "avx2", "avx512")
        for kernels in ("reference", "cpu")
    },
    **{
        f"oneDNN {isa}": {**REFERENCE, "ONEDNN_MAX_CPU_ISA": isa}
        for isa in ("SSE41", "AVX2", "AVX512_CORE", "AVX512_CORE_VNNI")
    },
    **{f"MKL_CBWR={branch}": {**REFERENCE, "MKL_CBWR": branch} for branch in ("COMPATIBLE", "AVX2", "AVX512")},
    "MKL instructions SSE4_2": {**REFERENCE, "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"},
    "numba for any x86-64": {"NUMBA_CPU_NAME": "x86-64", "NUMBA_CPU_FEATURES": "", "NUMBA_CACHE_DIR": ""},
    "numpy without AVX512": {"NPY_DISABLE_CPU_FEATURES": NO_AVX512},
    "PYTHONHASHSEED=7": {"PYTHONHASHSEED": "7"},
}
OTHER_CELLS = {"as it is": {}, "reference, 1 thread": REFERENCE}
"""Cells of the other interpreters."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--python", action="append", default=[], metavar="PATH", help="another interpreter")
    parser.add_argument("--cells", default="", metavar="REGEX", help="only the cells whose name matches")
    parser.add_argument("--bytes", type=int, default=300, help="of text that the model codes in every cell")
    arguments = parser.parse_args()
    print(f"{processor()}, {os.cpu_count()} processors, {arguments.bytes} bytes of text by the model\n")
    print("| cell | versions | history alone | by the model | golden archives written again |")
    print("| --- | --- | --- | --- | --- |")
    history, model, whole = set(), set(), True
    for python in [sys.executable, *arguments.python]:
        for name, environment in (CELLS if python == sys.executable else OTHER_CELLS).items():
            if not re.search(arguments.cells, name):
                continue
            found = run(python, environment, arguments.bytes)
            history.add(found["history"])
            model.update([found["model"]] if found["model"] else [])
            whole &= found["all_golden"]
            shown = [
                name,
                found["versions"],
                found["history"][:16],
                (found["model"] or "no torch")[:16],
                found["golden"],
            ]
            print(f"| {' | '.join(shown)} |", flush=True)
    print(f"\nDifferent hashes: {len(history)} by the history alone, {len(model)} by the model.")
    sys.exit(len(history) != 1 or len(model) > 1 or not whole)


def processor() -> str:
    """Return the processor's name, from /proc where the system has it."""
    try:
        names = re.findall(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def run(python: str, environment: dict[str, str], size: int) -> dict[str, Any]:
    """Run one cell. A failure takes the place of its hash, so that it differs from all others."""
    quiet = {"OMP_WAIT_POLICY": "PASSIVE"}  # waiting threads yield the processor, which is faster on a busy machine
    given = {**os.environ, "PYTHONPATH": str(CELL.parents[1]), **quiet, **environment}
    command = [python, str(CELL), "--bytes", str(size)]
    done = subprocess.run(command, env=given, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["killed"])[-1][:80]
        return {
            "versions": reason,
            "history": f"failed: {done.returncode}",
            "model": None,
            "golden": "",
            "all_golden": False,
        }
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    main()
