"""Compile every kernel of the GPU for a generation of devices: ``python -m tests.kernels.gpu.compiled_for 90``.

Needs Triton but no GPU. Prints the instructions that take the square root: all must round correctly.
"""

import inspect
import sys

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from zipllm.kernels.gpu.attention import attend, attend_step
from zipllm.kernels.gpu.forward import OPTIONS
from zipllm.kernels.gpu.frequencies import cumulate, cumulate_whole
from zipllm.kernels.gpu.layers import activate, add_and_norm, embed, split_heads

INT8 = {"table", "hidden", "active", "queries", "keys", "values", "mixed"}
INT64 = {"norms", "lanes", "scales"}
NUMBERS = {"limit", "layer", "next_norm", "time", "slots", "window", "entries"}
ROW = {"WIDTH": 256, "BLOCK": 256}
HEADS = {"HEADS": 4, "SIZE": 64, "BLOCK": 64}
KERNELS = [
    (embed, ROW),
    (add_and_norm, ROW),
    (activate, {"COLUMNS": 1024, "BLOCK": 1024}),
    (split_heads, HEADS),
    (attend, {**HEADS, "ROWS": 16, "KEYS": 64, "DIGITS": 2}),
    (attend, {**HEADS, "ROWS": 64, "KEYS": 64, "DIGITS": 3}),
    (attend_step, {**HEADS, "KEYS": 256}),
    (cumulate, {"VOCABULARY": 50000, "BLOCK": 1024}),
    (cumulate_whole, {"VOCABULARY": 8192, "BLOCK": 8192}),
]


def type_of(name: str) -> str:
    """Type of an argument that is not a constant: pointers, except for a few numbers."""
    if name in NUMBERS:
        return "i32"
    return "*i8" if name in INT8 else "*i64" if name in INT64 else "*i32"


def main(capability: int) -> None:
    for kernel, constants in KERNELS:
        names = list(inspect.signature(kernel.fn).parameters)
        signature = {name: "constexpr" if name in constants else type_of(name) for name in names}
        values = {(names.index(name),): value for name, value in constants.items()}
        source = ASTSource(fn=kernel, signature=signature, constexprs=values)
        done = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=OPTIONS)
        roots = {line.split()[0] for line in done.asm["ptx"].splitlines() if line.strip().startswith("sqrt")}
        print(kernel.fn.__name__, len(done.asm["cubin"]), *roots)


if __name__ == "__main__":
    main(int(sys.argv[1]))
