"""The mixer's two loops over its inputs as vector instructions.

Compilers unroll loops of a known length before they look for vectors, and then find none; so the two that matter are
written in LLVM's own language, through numba's ``intrinsic``. Without numba the plain forms below do the same, slowly.
"""

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import COMPILES, Integer

ROUND, SHIFT = 8192, 14
"""A weight moves by ``input * error / 2**SHIFT``, rounded."""
_LANES = 8


def plain_dot(row: NDArray[np.int32], inputs: NDArray[np.int32]) -> Integer:
    """Return the sum of products of two rows of equal length, int64."""
    return np.int64(np.dot(row.astype(np.int64), inputs.astype(np.int64)))


def plain_move(row: NDArray[np.int32], inputs: NDArray[np.int32], error: Integer, most: Integer) -> None:
    """Add ``(inputs * error + ROUND) >> SHIFT`` to a row, which stays within ``-most`` and ``most``.

    Products have to fit int32, and so has their sum with a weight.
    """
    change = (inputs * np.int32(error) + np.int32(ROUND)) >> np.int32(SHIFT)
    np.clip(row + change, -most, most, out=row)


class _Rows:
    """Rows of int32 as vectors, while code is written."""

    def __init__(self, context: Any, builder: Any) -> None:
        self._ir: Any = importlib.import_module("llvmlite.ir")
        self._make_array: Any = importlib.import_module("numba.np.arrayobj").make_array
        self._context, self.builder = context, builder
        self.int, self.long = self._ir.IntType(32), self._ir.IntType(64)
        self.ints, self.longs = (self._ir.VectorType(kind, _LANES) for kind in (self.int, self.long))

    def place(self, kind: Any, array: Any, first: int) -> Any:
        data = self._make_array(kind)(self._context, self.builder, array).data
        item = self.builder.gep(data, [self._ir.Constant(self.long, first)])
        return self.builder.bitcast(item, self.ints.as_pointer())

    def load(self, place: Any) -> Any:
        value = self.builder.load(place)
        value.align = 4
        return value

    def spread(self, value: Any) -> Any:
        """Return a vector of one number, int64."""
        single = self.builder.insert_element(
            self._ir.Constant(self.ints, self._ir.Undefined),
            self.builder.trunc(value, self.int),
            self._ir.Constant(self.int, 0),
        )
        return self.builder.shuffle_vector(single, single, self._ir.Constant(self.ints, [0] * _LANES))

    def constant(self, value: int) -> Any:
        return self._ir.Constant(self.ints, [value] * _LANES)

    def total(self, longs: Any) -> Any:
        kind = self._ir.FunctionType(self.long, [self.longs])
        declare: Any = importlib.import_module("numba.core.cgutils").get_or_insert_function
        return self.builder.call(declare(self.builder.module, kind, "llvm.vector.reduce.add.v8i64"), [longs])


def make_dot(size: int) -> Callable[..., Any]:
    """Return ``plain_dot`` for compiled code and rows of this size, next to each other in memory.

    Raises:
        ValueError: the size is not a multiple of 8.
    """
    _check_size(size)
    if not COMPILES:
        return plain_dot
    types: Any = importlib.import_module("numba").types

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows, total = _Rows(context, builder), None
        for first in range(0, size, _LANES):
            both = [
                builder.sext(rows.load(rows.place(kind, array, first)), rows.longs)
                for kind, array in zip(signature.args, arguments, strict=True)
            ]
            product = builder.mul(*both)
            total = product if total is None else builder.add(total, product)
        return rows.total(total)

    def dot(typing_context: Any, row: Any, inputs: Any) -> Any:
        return (types.int64(row, inputs), codegen) if _are_rows(types, row, inputs) else None

    return _intrinsic(dot)


def make_move(size: int) -> Callable[..., Any]:
    """Return ``plain_move`` for compiled code; rows and errors as for ``make_dot``."""
    _check_size(size)
    if not COMPILES:
        return plain_move
    types: Any = importlib.import_module("numba").types

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        rows = _Rows(context, builder)
        row, inputs, error, most = arguments
        error, most = rows.spread(error), rows.spread(most)
        least = builder.neg(most)
        for first in range(0, size, _LANES):
            place = rows.place(signature.args[0], row, first)
            product = builder.mul(rows.load(rows.place(signature.args[1], inputs, first)), error)
            change = builder.ashr(builder.add(product, rows.constant(ROUND)), rows.constant(SHIFT))
            moved = builder.add(rows.load(place), change)
            moved = builder.select(builder.icmp_signed(">", moved, most), most, moved)
            moved = builder.select(builder.icmp_signed("<", moved, least), least, moved)
            builder.store(moved, place).align = 4
        return context.get_dummy_value()

    def move(typing_context: Any, row: Any, inputs: Any, error: Any, most: Any) -> Any:
        if _are_rows(types, row, inputs) and error == most == types.int64:
            return types.void(row, inputs, error, most), codegen
        return None

    return _intrinsic(move)


def _check_size(size: int) -> None:
    if size % _LANES:
        raise ValueError(f"rows of {size} numbers cannot be cut into vectors of {_LANES}")


def _are_rows(types: Any, *arrays: Any) -> bool:
    """Whether compiled code may take them for vectors; otherwise numba reports a type error."""
    return all(isinstance(a, types.Array) and (a.dtype, a.ndim, a.layout) == (types.int32, 1, "C") for a in arrays)


def _intrinsic(function: Callable[..., Any]) -> Callable[..., Any]:
    made: Callable[..., Any] = importlib.import_module("numba.extending").intrinsic(function)
    return made
