"""How loops are compiled with numba, and what happens where that does not work.

numba is a speed-up, never a requirement: every caller has a plain form with the same results. Code is compiled
at its first call and cached beside its source (or in the user's cache folder), so only the first process on a
machine pays. There are two ways:

- ``compiled``: a function that Python calls, cached by its own file.
- ``part``, ``long_part``, ``inlined`` and ``entry``: many readable functions, one entry point. Python calls only the
  entry point, so only it has a wrapper and a place in the cache. Parts allocate nothing, so numba's reference counts
  are switched off (``_nrt``): they would cost as much as the work on a row. numba looks at the entry point's own file
  to decide whether cached code is stale; ``source_digest`` makes other files count.

The first run of all waits for the compiler. numba treats each constant that is passed to a part as a type and compiles
the part again, unless the constant is an ``np.int64``; and long functions, made by inlining, compile slowly.
"""

import hashlib
import importlib
import importlib.util
from collections.abc import Callable, Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

if TYPE_CHECKING:
    import numpy as np

Integer: TypeAlias = "int | np.integer[Any]"
"""What compiled functions pass each other."""

Kernel = TypeVar("Kernel", bound=Callable[..., Any])


def _load_numba() -> Any:
    """Return the numba module, or None when it is missing, unusable, or told not to compile."""
    try:
        numba = importlib.import_module("numba")
    except (ImportError, SystemError):
        return None
    return None if numba.config.DISABLE_JIT else numba


_NUMBA = _load_numba()
COMPILES = _NUMBA is not None
_OWN_SOURCES = (Path(__file__), Path(__file__).with_name("prefetch.py"))


def compiled(function: Kernel) -> Kernel:
    """Decorate a kernel of plain loops over arrays: compiled lazily, unchanged where numba is missing.

    Uncompiled kernels are not meant to be called (wrapping uint64 arithmetic warns in numpy, and loops are
    slow): check ``COMPILES`` and take the plain form instead.
    """
    return _cached(function, nogil=True, no_cfunc_wrapper=True)


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


def entry(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls, at its first call; it leaves Python's lock to other threads."""
    return _cached(function, nogil=True, no_cfunc_wrapper=True, _nrt=False)


def is_cached(kernel: Any) -> bool:
    """Whether the cache holds compiled code of an entry point for this processor.

    This reads numba's private attributes; where they have changed, the answer is no.
    """
    try:
        wanted = kernel._cache._index_key(None, kernel.targetctx.codegen())[1:]
        return any(key[1:] == wanted for key in kernel._cache._cache_file._load_index())
    except (AttributeError, TypeError, OSError):
        return False


def entry_from(*modules: str) -> Callable[[Callable[[int], Callable[..., Any]]], Any]:
    """Decorate a function that builds an entry point; its name then means the entry point, compiled as by ``entry``.

    numba caches compiled code by the values that a function closes over, and looks only at that function's own file.
    So the builder receives the ``source_digest`` of all other source that is compiled in, and its function uses it.

    Args:
        modules: modules whose source is compiled into the entry point; a package stands for all modules in it.
    """

    def finish(build: Callable[[int], Callable[..., Any]]) -> Any:
        return entry(build(source_digest(chain.from_iterable(map(_source_files, modules)))))

    return finish


def _source_files(module: str) -> Iterable[Path]:
    spec = importlib.util.find_spec(module)
    assert spec is not None, module
    assert spec.origin is not None, module
    source = Path(spec.origin)
    return source.parent.glob("*.py") if spec.submodule_search_locations else [source]


def source_digest(files: Iterable[Path]) -> int:
    """Return 60 bits that change with any of these source files, or of this folder's, which every entry point uses."""
    digest = hashlib.sha256()
    for path in sorted({*files, *_OWN_SOURCES}):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:8], "little") >> 4


def _njit(function: Kernel, **options: Any) -> Kernel:
    if _NUMBA is None:
        return function
    kernel: Kernel = _NUMBA.njit(**options)(function)
    return kernel


def _cached(function: Kernel, **options: Any) -> Kernel:
    try:
        return _njit(function, cache=True, **options)
    except RuntimeError:  # no folder that a cache could be written to
        return _njit(function, **options)
