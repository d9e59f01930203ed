"""Threads of compiled code that share one piece of work, and wait for each other between its steps.

They wait for microseconds, so they look at a number in memory again and again instead of sleeping; a thread that has
looked long enough lets others have its processor.
"""

import importlib
import os
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from zipllm.jit.compiled import COMPILES, Integer, part

CAN_MEET = COMPILES and os.name == "posix"
"""Whether compiled threads can wait for each other here."""

_ARRIVALS, _COUNT = np.int64(0), np.int64(8)
"""Numbers in a table of 16, on cache lines of their own."""

_PATIENCE = 2000
"""Looks before a thread lets others have its processor."""

Table = NDArray[np.int64]


class Share(NamedTuple):
    """The part of some work that one thread does.

    Attributes:
        number: of the thread, from 0.
        threads: how many share the work.
        table: what they meet by.
        met: int64 ``[1]``, the number of arrivals that this thread has waited for.
    """

    number: Integer
    threads: Integer
    table: Table
    met: NDArray[np.int64]


def new_table(threads: int = 0) -> Table:
    """Return what ``threads`` threads meet by, int64 ``[16]``; 0: they wait in ``join`` until ``open_table``."""
    table = np.zeros(16, dtype=np.int64)
    table[_COUNT] = threads
    return table


def open_table(table: Table, threads: int) -> None:
    """Let the threads begin that wait in ``join``."""
    table[_COUNT] = threads


@part
def join(number: Integer, table: Table, met: NDArray[np.int64]) -> Share:
    """Return the share of thread ``number`` once it is known how many there are."""
    met[0] = 0
    _wait(table, _COUNT, np.int64(1))
    return Share(number, _look(table, _COUNT), table, met)


@part
def meet(share: Share) -> None:
    """Wait until every thread has come here as often as this one."""
    if share.threads > 1:
        share.met[0] += share.threads
        _arrive(share.table, _ARRIVALS)
        _wait(share.table, _ARRIVALS, share.met[0])


@part
def cut(share: Share, total: Integer, unit: Integer) -> tuple[Integer, Integer]:
    """Return the beginning and the end of a share of ``total`` items, whole units except at the end of all."""
    begin = total * share.number // share.threads // unit * unit
    end = total * (share.number + 1) // share.threads // unit * unit
    return begin, end if share.number + 1 < share.threads else total


@part
def _wait(table: Table, index: Integer, least: Integer) -> None:
    looks = np.int64(0)
    while _look(table, index) < least:
        looks += 1
        if looks > _PATIENCE:
            _yield()


def _make_atomic(emit: Any) -> Any:
    """Return a function ``(table, index)`` for compiled code: the instruction that ``emit`` writes, on that number."""
    types: Any = importlib.import_module("numba").types
    make_array: Any = importlib.import_module("numba.np.arrayobj").make_array

    def codegen(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        array = make_array(signature.args[0])(context, builder, arguments[0])
        return emit(builder, builder.gep(array.data, [arguments[1]]))

    def atomic(typing_context: Any, table: Any, index: Any) -> Any:
        return types.int64(table, types.int64), codegen

    made: Any = importlib.import_module("numba.extending").intrinsic(atomic)
    return made


def _emit_look(builder: Any, place: Any) -> Any:
    return builder.load_atomic(place, "acquire", 8)


def _emit_arrive(builder: Any, place: Any) -> Any:
    return builder.atomic_rmw("add", place, place.type.pointee(1), "acq_rel")


def _look_plainly(table: Table, index: Integer) -> Any:
    return table[index]


def _arrive_plainly(table: Table, index: Integer) -> Any:
    table[index] += 1
    return table[index]


def _make_yield() -> Any:
    types: Any = importlib.import_module("numba").types
    return types.ExternalFunction("sched_yield", types.int32())


_look: Any = _make_atomic(_emit_look) if CAN_MEET else _look_plainly
_arrive: Any = _make_atomic(_emit_arrive) if CAN_MEET else _arrive_plainly
_yield: Any = _make_yield() if CAN_MEET else int
