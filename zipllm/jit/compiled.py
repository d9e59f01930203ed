"""How loops are compiled with numba, and what happens where that does not work.

numba is a speed-up, never a requirement: every caller has a plain form with the same results. Code is compiled
at its first call and kept on disk (``cache.py``), so only the first process on a machine pays. There are two ways:

- ``compiled``: a function that Python calls, cached by its own file.
- ``part``, ``long_part``, ``inlined`` and ``entry``: many readable functions, one entry point. Python calls only the
  entry point, so only it has a wrapper and a place in the cache. Parts allocate nothing, so numba's reference counts
  are switched off (``_nrt``): they would cost as much as the work on a row. Cached code is stale when the entry
  point's own file changes; ``entry_from`` makes other files count.

The first run of all waits for the compiler. numba treats each constant that is passed to a part as a type and compiles
the part again, unless the constant is an ``np.int64``; and long functions, made by inlining, compile slowly.
"""

import hashlib
import importlib
import importlib.util
import logging
import pkgutil
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from zipllm.jit.cache import KernelCache

if TYPE_CHECKING:
    import numpy as np

Integer: TypeAlias = "int | np.integer[Any]"
"""What compiled functions pass each other."""

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


SLOW_BYTES = 1 << 10
"""Bytes that may be coded without compiled code before a warning says why that takes so long."""


def _load_numba() -> tuple[Any, str]:
    """Return the numba module, or None and the reason why it does not load; an empty one if it may not compile."""
    try:
        numba = importlib.import_module("numba")
    except (ImportError, SystemError, OSError) as error:
        return None, f"{type(error).__name__}: {error}"
    numba.config.NUMBA_NUM_THREADS = max(1, numba.config.NUMBA_NUM_THREADS)  # 0 would stop its compiler
    return (None if numba.config.DISABLE_JIT else numba), ""


_NUMBA, _PROBLEM = _load_numba()
COMPILES = _NUMBA is not None
_OWN_SOURCES = ("zipllm.jit.compiled", "zipllm.jit.prefetch")
_slow_bytes: list[int] = []
_log = logging.getLogger(__name__)


def note_work(size: int) -> None:
    """Warn once of a numba that does not load, as soon as more than ``SLOW_BYTES`` are coded without it."""
    if _PROBLEM and sum(_slow_bytes) <= SLOW_BYTES:
        _slow_bytes.append(size)
        if sum(_slow_bytes) > SLOW_BYTES:
            _log.warning("zipllm: numba does not load, so coding is up to a thousand times slower (%s)", _PROBLEM)


def compiled(function: Kernel) -> Kernel:
    """Decorate a kernel of plain loops over arrays: compiled lazily, unchanged where numba is missing.

    Uncompiled kernels are not meant to be called (wrapping uint64 arithmetic warns in numpy, and loops are
    slow): check ``COMPILES`` and take the plain form instead.
    """
    return _cached(function, function.__module__, nogil=True, no_cfunc_wrapper=True)


def part(function: Kernel) -> Kernel:
    """Decorate a function that other kernels call: compiled by itself, then put into each of them.

    A call would cost more than most parts do, some 50 ns: every array travels over the stack as seven numbers.
    """
    return _njit(function, no_cpython_wrapper=True, no_cfunc_wrapper=True, forceinline=True, _nrt=False)


def long_part(function: Kernel) -> Kernel:
    """Decorate a part that stays a function of its own: its copies in every caller would cost the compiler seconds."""
    return _njit(function, no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)


def inlined(function: Kernel) -> Kernel:
    """Decorate a function that one kernel calls: it becomes part of the caller's source, so it is compiled once."""
    return _njit(function, inline="always", _nrt=False)


def class_constant(function: Callable[[type], int]) -> Callable[[Any], int]:
    """Decorate a function of a class; the result takes an instance, and is a constant where a kernel calls it.

    So the compiler makes other code for each class of a named tuple: loops of known length, and no dead branches.
    """

    def of_instance(instance: Any) -> int:
        return function(type(instance))

    def compile_constant(instance: Any) -> Callable[[Any], int]:
        value = function(instance.instance_class)
        return lambda instance: value

    if _NUMBA is not None:
        importlib.import_module("numba.extending").overload(of_instance, strict=False)(compile_constant)
    return of_instance


def entry(function: Kernel, *modules: str) -> Kernel:
    """Compile a function that Python calls, at its first call; it leaves Python's lock to other threads.

    Args:
        function: not compiled yet.
        modules: modules whose source is compiled into it, beside its own; a package stands for all modules in it.
    """
    modules = (function.__module__, *modules)
    return _cached(function, *modules, nogil=True, no_cfunc_wrapper=True, _nrt=False)


def entry_from(*modules: str) -> Callable[[Kernel], Kernel]:
    """Decorate an entry point into which these modules are compiled; see ``entry``."""
    return lambda function: entry(function, *modules)


def is_cached(kernel: Any) -> bool:
    """Whether compiled code of an entry point for this processor is on disk."""
    try:
        found: bool = kernel._cache.has_any(kernel.targetctx.codegen())
    except AttributeError:  # not compiled by numba, or by one that has changed inside
        return False
    return found


def source_digest(*modules: str) -> int:
    """Return 60 bits that change with the source of any of these modules, or of those that every kernel uses.

    Loaders are asked for the source, since it may lie in a zip file, or be compiled already.
    """
    digest = hashlib.sha256()
    for name in sorted({*modules, *_OWN_SOURCES}):
        for source in _sources(name):
            digest.update(source)
    return int.from_bytes(digest.digest()[:8], "little") >> 4


def _sources(module: str) -> Iterator[bytes]:
    if module == "__main__":  # a script, whose functions are told apart by their own code
        return
    spec = importlib.util.find_spec(module)
    assert spec is not None, module
    yield spec.loader.get_data(spec.origin)  # type: ignore[union-attr]
    for inner in pkgutil.iter_modules(spec.submodule_search_locations or ()):
        yield from () if inner.ispkg else _sources(f"{module}.{inner.name}")


def _njit(function: Kernel, **options: Any) -> Kernel:
    if _NUMBA is None:
        return function
    kernel: Kernel = _NUMBA.njit(**options)(function)
    return kernel


def _cached(function: Kernel, *modules: str, **options: Any) -> Kernel:
    kernel: Any = _njit(function, **options)
    plain: Any = function
    held = [cell.cell_contents for cell in plain.__closure__ or ()]
    if kernel is not function and all(isinstance(value, int) for value in held):  # no key tells other values apart
        kernel._cache = KernelCache(function, partial(source_digest, *modules))
    return kernel  # type: ignore[no-any-return]
