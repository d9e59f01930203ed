"""The innermost product: a tile of rows x columns that stays in registers while the inputs stream by.

Compilers do not find the processor's int8 dot products by themselves, so the tile is written in LLVM's own
language, through numba's ``intrinsic``. The result does not depend on the instructions chosen: sums of
unsigned x signed bytes in 32 bits, wrapping (exact in any order whenever the true sum fits).

The left operand is rows of unsigned bytes. The right one is *packed*: for every four inputs, 64 consecutive
bytes hold those four of 16 columns, so that one vector instruction multiplies them all and adds in fours.

The rows of a *wide* tile are signed numbers of 16 bits. The bytes of the right operand become as wide in registers:
the even ones, then the odd ones, each of which one instruction multiplies and adds in pairs. So its four inputs are
packed in the order ``layout.WIDE_ORDER``.
"""

from collections.abc import Sequence
from typing import Any, Literal

import llvmlite.binding as llvm
import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np.arrayobj import make_array

from zipllm.jit.prefetch import emit_prefetch

Instructions = Literal["vnni512", "vnni256", "avx2", "generic"]

_BYTE, _INT, _LONG = ir.IntType(8), ir.IntType(32), ir.IntType(64)
_ELEMENTS = 16
_VECTOR = ir.VectorType(_INT, _ELEMENTS)
_SHORTS = ir.VectorType(ir.IntType(16), 2 * _ELEMENTS)
_VECTOR_BYTES = 64
_GROUP = 4  # inputs multiplied and added at once


def best_instructions() -> Instructions:
    """Return the best instructions of this processor. numba's cache is per processor, so the choice may be cached."""
    settings: Any = numba.config
    if settings.CPU_NAME or settings.CPU_FEATURES:  # compiling for another processor than this one
        return "generic"
    features = llvm.get_host_cpu_features()
    if features.get("avx512vnni"):
        return "vnni512"
    if features.get("avxvnni"):
        return "vnni256"
    return "avx2" if features.get("avx2") else "generic"


def make_tile(rows: int, vectors: int, instructions: Instructions, *, wide: bool = False, ahead: bool = False) -> Any:
    """Return a function for compiled kernels that computes ``rows`` x ``16 * vectors`` sums.

    With ``ahead`` it also prefetches the columns of the next tile, which lie right behind: hardware prefetchers stop
    at the end of a 4 KiB page, where a stream of 16 columns and 256 inputs ends.

    Its arguments are int64, addresses and distances in bytes:
    ``tile(left, left_stride, right, vector_stride, step_stride, initial, out, out_stride, steps)``

    - left: uint8, or int16 if wide, ``4 * steps`` inputs in each of ``rows`` rows that lie ``left_stride`` apart;
    - right: int8, packed; 16 columns lie ``vector_stride`` apart, four inputs ``step_stride``;
    - initial: int32 ``[16 * vectors]``, what the sum of each column starts with; a wide tile starts with 0;
    - out: int32, ``16 * vectors`` sums in each of ``rows`` rows that lie ``out_stride`` apart;
    - steps: at least 1.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        emit = (_WideEmitter if wide else _Emitter)(builder, instructions)
        _emit(emit, rows, vectors, ahead, arguments)
        return context.get_dummy_value()

    @intrinsic
    def tile(
        typing_context: Any,
        left: Any,
        left_stride: Any,
        right: Any,
        vector_stride: Any,
        step_stride: Any,
        initial: Any,
        out: Any,
        out_stride: Any,
        steps: Any,
    ) -> Any:
        arguments = (left, left_stride, right, vector_stride, step_stride, initial, out, out_stride, steps)
        if any(argument != types.int64 for argument in arguments):
            return None  # numba reports a type error
        return types.void(*arguments), codegen

    return tile


def make_address() -> Any:
    """Return a function for compiled kernels that gives the address of an array's first element.

    It is a signed int64, since numba turns a mix of signed and unsigned into floats.
    """

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        struct: Any = make_array  # numba's struct of an array
        array = struct(signature.args[0])(context, builder, arguments[0])
        return builder.ptrtoint(array.data, _LONG)

    @intrinsic
    def address(typing_context: Any, array: Any) -> Any:
        return (types.int64(array), codegen) if isinstance(array, types.Array) else None

    return address


def _emit(emit: "_Emitter", rows: int, vectors: int, ahead: bool, arguments: Sequence[Any]) -> None:
    """Write the loop over the inputs, with all sums of the tile in registers."""
    left, left_stride, right, vector_stride, step_stride, initial, out, out_stride, steps = arguments
    builder = emit.builder
    starts = [emit.start(emit.offset(initial, _VECTOR_BYTES * v)) for v in range(vectors)]
    left_rows = [builder.add(left, builder.mul(left_stride, _long(r))) for r in range(rows)]
    columns = [builder.add(right, builder.mul(vector_stride, _long(v))) for v in range(vectors)]
    before = builder.block
    body, after = builder.append_basic_block("inputs"), builder.append_basic_block("done")
    builder.branch(body)
    builder.position_at_end(body)
    step = builder.phi(_LONG)
    step.add_incoming(_long(0), before)
    sums = [[builder.phi(_VECTOR) for _ in columns] for _ in left_rows]
    places = [builder.add(column, builder.mul(step, step_stride)) for column in columns]
    packed = [emit.right(emit.load(place)) for place in places]
    if ahead:
        distance = builder.mul(vector_stride, _long(vectors))
        for place in places:
            emit.prefetch(builder.add(place, distance))
    inputs = builder.mul(step, _long(emit.group_bytes))
    following = builder.add(step, _long(1))
    for address, row_sums in zip(left_rows, sums, strict=True):
        group = emit.left(builder.add(address, inputs))
        for start, total, column in zip(starts, row_sums, packed, strict=True):
            total.add_incoming(start, before)
            total.add_incoming(emit.dot(total, group, column), body)
    step.add_incoming(following, body)
    builder.cbranch(builder.icmp_signed("<", following, steps), body, after)
    builder.position_at_end(after)
    for r, row_sums in enumerate(sums):
        row = builder.add(out, builder.mul(out_stride, _long(r)))
        for v, total in enumerate(row_sums):
            emit.store(total.incomings[1][0], emit.offset(row, _VECTOR_BYTES * v))


def _long(value: int) -> Any:
    return ir.Constant(_LONG, value)


class _Emitter:
    """Vector operations as LLVM instructions.

    Attributes:
        group_bytes: size of four inputs of the left operand.
    """

    group_bytes = _GROUP

    def __init__(self, builder: Any, instructions: Instructions) -> None:
        self.builder = builder
        self.instructions = instructions

    def start(self, address: Any) -> Any:
        """Return what the sums of 16 columns start with."""
        return self.load(address)

    def left(self, address: Any) -> Any:
        """Load four inputs of a row, for ``dot``."""
        return self.broadcast(address)

    def right(self, packed: Any) -> Any:
        """Prepare four inputs of 16 columns for ``dot`` with every row."""
        return packed

    def offset(self, address: Any, distance: int) -> Any:
        return self.builder.add(address, _long(distance))

    def load(self, address: Any) -> Any:
        value = self.builder.load(self.builder.inttoptr(address, _VECTOR.as_pointer()))
        value.align = 1
        return value

    def store(self, value: Any, address: Any) -> None:
        self.builder.store(value, self.builder.inttoptr(address, _VECTOR.as_pointer())).align = 1

    def prefetch(self, address: Any) -> None:
        """Prefetch the 64 bytes around an address, which need not exist."""
        emit_prefetch(self.builder, self.builder.inttoptr(address, _BYTE.as_pointer()))

    def broadcast(self, address: Any) -> Any:
        """Load four bytes into each of the 16 vector elements."""
        value = self.builder.load(self.builder.inttoptr(address, _INT.as_pointer()))
        value.align = 1
        undefined = ir.Constant(_VECTOR, ir.Undefined)
        single = self.builder.insert_element(undefined, value, ir.Constant(_INT, 0))
        return self.builder.shuffle_vector(single, undefined, ir.Constant(_VECTOR, [0] * _ELEMENTS))

    def dot(self, total: Any, left: Any, right: Any) -> Any:
        """Add to each element of ``total`` the products of its four unsigned bytes with its four signed ones."""
        if self.instructions == "vnni512":
            return _call(self.builder, "llvm.x86.avx512.vpdpbusd.512", _VECTOR, [total, left, right])
        if self.instructions == "vnni256":
            return self._halves("llvm.x86.avx512.vpdpbusd.256", [total, left, right])
        if self.instructions == "avx2":
            return self._dot_in_pairs(total, left, right)
        for byte in range(_GROUP):
            unsigned = self.builder.and_(self.builder.lshr(left, _splat(8 * byte)), _splat(255))
            signed = self.builder.ashr(self.builder.shl(right, _splat(24 - 8 * byte)), _splat(24))
            total = self.builder.add(total, self.builder.mul(unsigned, signed))
        return total

    def _dot_in_pairs(self, total: Any, left: Any, right: Any) -> Any:
        """Even and odd bytes apart, as pairs of 16 bits: AVX2's byte product would saturate."""
        eight, low = (ir.Constant(_SHORTS, [value] * _SHORTS.count) for value in (8, 255))
        unsigned = self.builder.bitcast(left, _SHORTS)
        pairs = self.builder.and_(unsigned, low), self.builder.lshr(unsigned, eight)
        for numbers, weights in zip(pairs, self._widened(right), strict=True):
            total = self.builder.add(total, self._halves("llvm.x86.avx2.pmadd.wd", [numbers, weights]))
        return total

    def _widened(self, packed: Any) -> tuple[Any, Any]:
        """Return the even and the odd ones of 64 signed bytes as numbers of 16 bits."""
        eight = ir.Constant(_SHORTS, [8] * _SHORTS.count)
        signed = self.builder.bitcast(packed, _SHORTS)
        return self.builder.ashr(self.builder.shl(signed, eight), eight), self.builder.ashr(signed, eight)

    def _halves(self, name: str, operands: list[Any]) -> Any:
        """Apply a 256-bit instruction to both halves of 512-bit operands."""
        results = []
        for half in range(2):
            parts = [self._half(operand, half) for operand in operands]
            results.append(_call(self.builder, name, ir.VectorType(_INT, _ELEMENTS // 2), parts))
        both = ir.Constant(_VECTOR, list(range(_ELEMENTS)))
        return self.builder.shuffle_vector(*results, both)

    def _half(self, operand: Any, half: int) -> Any:
        count = operand.type.count // 2
        indices = ir.Constant(ir.VectorType(_INT, count), [half * count + element for element in range(count)])
        return self.builder.shuffle_vector(operand, ir.Constant(operand.type, ir.Undefined), indices)


class _WideEmitter(_Emitter):
    """The operations of a wide tile; ``left`` and ``right`` return two operands each: of even and of odd bytes."""

    group_bytes = 2 * _GROUP

    def start(self, address: Any) -> Any:
        return _splat(0)

    def left(self, address: Any) -> Any:
        return self.broadcast(address), self.broadcast(self.offset(address, _GROUP))

    def right(self, packed: Any) -> Any:
        return self._widened(packed)

    def dot(self, total: Any, left: Any, right: Any) -> Any:
        for pair in zip(left, right, strict=True):
            total = self._dot_shorts(total, *pair)
        return total

    def _dot_shorts(self, total: Any, left: Any, right: Any) -> Any:
        """Add to each element of ``total`` the products of two numbers of 16 bits."""
        both = [self.builder.bitcast(left, _SHORTS), right]
        if self.instructions == "avx2":
            return self.builder.add(total, self._halves("llvm.x86.avx2.pmadd.wd", both))
        left, right = (self.builder.bitcast(operand, _VECTOR) for operand in both)
        if self.instructions == "vnni512":
            return _call(self.builder, "llvm.x86.avx512.vpdpwssd.512", _VECTOR, [total, left, right])
        if self.instructions == "vnni256":
            return self._halves("llvm.x86.avx512.vpdpwssd.256", [total, left, right])
        for bits in (16, 0):  # above the lower number, above the upper one
            numbers = [self.builder.ashr(self.builder.shl(each, _splat(bits)), _splat(16)) for each in (left, right)]
            total = self.builder.add(total, self.builder.mul(*numbers))
        return total


def _call(builder: Any, name: str, result: Any, operands: list[Any]) -> Any:
    """Call one of LLVM's own functions."""
    kind = ir.FunctionType(result, [operand.type for operand in operands])
    declare: Any = cgutils.get_or_insert_function
    return builder.call(declare(builder.module, kind, name), operands)


def _splat(value: int) -> Any:
    return ir.Constant(_VECTOR, [value] * _ELEMENTS)
