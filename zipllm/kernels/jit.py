"""How kernels are compiled: many readable functions, one entry point that is cached on disk.

Only the entry point is called from Python, so only it gets a wrapper and a place in numba's cache. Kernels
allocate nothing, so numba's counting of references is switched off (``_nrt``): it would cost as much as the
work on a row. numba looks at the entry point's own file when it decides whether cached code is stale;
``source_digest`` makes every file of this package count.
"""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import numba

Kernel = TypeVar("Kernel", bound=Callable[..., Any])

_njit: Any = numba.njit


def part(function: Kernel) -> Kernel:
    """Decorate a function that other kernels call: compiled by itself, then linked into them."""
    compiled: Kernel = _njit(no_cpython_wrapper=True, _nrt=False)(function)
    return compiled


def inlined(function: Kernel) -> Kernel:
    """Decorate a function that one kernel calls, and that is only there to be read by itself.

    It becomes part of its caller before anything is compiled, which saves compiling it twice.
    """
    compiled: Kernel = _njit(inline="always", _nrt=False)(function)
    return compiled


def entry(function: Callable[..., Any]) -> Any:
    """Compile a function that Python calls, at its first call; it leaves Python's lock to other threads."""
    try:
        return _njit(nogil=True, cache=True, _nrt=False)(function)
    except RuntimeError:  # no folder that a cache could be written to
        return _njit(nogil=True, _nrt=False)(function)


def is_cached(kernel: Any) -> bool:
    """Whether an earlier process has left compiled code of an entry point that fits this one.

    numba has no public way to ask; when its inside has changed, the answer is no.
    """
    try:
        wanted = kernel._cache._index_key(None, kernel.targetctx.codegen())[1:]
        return any(key[1:] == wanted for key in kernel._cache._cache_file._load_index())
    except (AttributeError, TypeError, OSError):
        return False


def source_digest() -> int:
    """Return 60 bits that change with any source file of this package."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return int.from_bytes(digest.digest()[:8], "little") >> 4
