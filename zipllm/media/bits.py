"""The length of an integer in bits: one instruction of the processor in compiled code."""

import importlib
from typing import Any

import numpy as np

from zipllm.jit.compiled import COMPILES, Integer


def _plain(value: Integer) -> Integer:
    return np.int64(int(value).bit_length())


def _make_bit_length() -> Any:
    types: Any = importlib.import_module("numba").types
    ir: Any = importlib.import_module("llvmlite.ir")

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        leading = builder.ctlz(arguments[0], ir.Constant(ir.IntType(1), 0))
        return builder.sub(ir.Constant(ir.IntType(64), 64), leading)

    def bit_length(typing_context: Any, value: Any) -> Any:
        return (types.int64(types.int64), codegen) if value == types.int64 else None

    made: Any = importlib.import_module("numba.extending").intrinsic(bit_length)
    return made


bit_length: Any = _make_bit_length() if COMPILES else _plain
"""``bit_length(value)``: bits of an int64 that is not negative, the leading one included; 0 for 0."""
