"""Compile a kernel with numba where that works, and say where it does not.

numba is a speed-up, never a requirement: every caller has a plain form with the same results. A kernel is
compiled at its first call and cached beside its source (or in the user's cache folder), so only the first
process on a machine pays. numba's cache is keyed by the source file of the kernel alone: after editing a
kernel that another *file* inlines, delete ``__pycache__``.
"""

import importlib
from collections.abc import Callable
from typing import Any, TypeVar

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


def compiled(function: Kernel) -> Kernel:
    """Decorate a kernel of plain loops over arrays: compiled lazily, unchanged where numba is missing.

    Uncompiled kernels are not meant to be called (wrapping uint64 arithmetic warns in numpy, and loops are
    slow): check ``COMPILES`` and take the plain form instead.
    """
    if _NUMBA is None:
        return function
    try:
        kernel: Kernel = _NUMBA.njit(cache=True, nogil=True)(function)
    except RuntimeError:  # no folder that a cache could be written to
        kernel = _NUMBA.njit(nogil=True)(function)
    return kernel
