"""The processor's prefetch instruction for compiled code; without numba it does nothing.

Hash tables are larger than the caches. A branch on a value that is still in memory stalls everything behind it;
prefetched, many values arrive at once.
"""

import importlib
from typing import Any

from zipllm.jit.compiled import COMPILES


def emit_prefetch(builder: Any, place: Any) -> None:
    """Put the instruction into a function that is being built in LLVM's language.

    Args:
        builder: llvmlite's, of the function.
        place: a pointer into the 64 bytes to ask for; they need not exist.
    """
    ir: Any = importlib.import_module("llvmlite.ir")
    declare: Any = importlib.import_module("numba.core.cgutils").get_or_insert_function
    place, number = builder.bitcast(place, ir.IntType(8).as_pointer()), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [place.type, number, number, number])
    read_to_stay_data = [ir.Constant(number, value) for value in (0, 3, 1)]
    builder.call(declare(builder.module, kind, "llvm.prefetch.p0"), [place, *read_to_stay_data])


def _make_prefetch() -> Any:
    types: Any = importlib.import_module("numba").types
    make_array: Any = importlib.import_module("numba.np.arrayobj").make_array

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = make_array(signature.args[0])(context, builder, arguments[0])
        emit_prefetch(builder, builder.gep(array.data, [arguments[1]]))
        return context.get_dummy_value()

    def prefetch(typing_context: Any, array: Any, index: Any) -> Any:
        if isinstance(array, types.Array) and array.layout == "C" and index == types.int64:
            return types.void(array, index), codegen
        return None  # numba reports a type error

    made: Any = importlib.import_module("numba.extending").intrinsic(prefetch)
    return made


def _nothing(array: Any, index: Any) -> None:
    pass


prefetch: Any = _make_prefetch() if COMPILES else _nothing
"""``prefetch(array, index)``: an array whose items lie next to each other, and the number of one among all, int64."""
