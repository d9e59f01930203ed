"""Kernels compile where numba can, and stay plain functions where it cannot."""

import importlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from zipllm.jit import compiled


def double(value: int) -> int:
    return 2 * value


def test_without_numba_a_kernel_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_NUMBA", None)
    assert compiled.compiled(double) is double


@pytest.mark.parametrize("error", [ImportError("not installed"), SystemError("built for another numpy")])
def test_a_numba_that_cannot_be_imported_is_no_numba(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(name: str) -> Any:
        raise error

    monkeypatch.setattr(importlib, "import_module", refuse)
    assert compiled._load_numba() is None


def test_a_numba_told_not_to_compile_is_no_numba(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(config=SimpleNamespace(DISABLE_JIT=1))
    monkeypatch.setattr(importlib, "import_module", lambda name: fake)
    assert compiled._load_numba() is None


def test_without_a_cache_folder_kernels_compile_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def njit(function: Callable[..., Any] | None = None, cache: bool = False, **options: bool) -> Any:
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return function

    def refusing(*args: Any, **options: Any) -> Any:
        return njit(*args, **options) if args else lambda function: njit(function, **options)

    monkeypatch.setattr(compiled, "_NUMBA", SimpleNamespace(njit=refusing))
    assert compiled.compiled(double) is double


@pytest.mark.skipif(not compiled.COMPILES, reason="numba is not installed or told not to compile")
def test_with_numba_a_kernel_is_compiled() -> None:
    kernel = compiled.compiled(double)
    assert kernel is not double
    assert kernel(21) == 42


@pytest.mark.skipif(not compiled.COMPILES, reason="numba is not installed or told not to compile")
def test_what_python_calls_leaves_its_lock_to_other_threads() -> None:
    for decorate in (compiled.compiled, compiled.entry):
        kernel: Any = decorate(double)
        assert kernel.targetoptions["nogil"]


@pytest.mark.skipif(not compiled.COMPILES, reason="numba is not installed or told not to compile")
@pytest.mark.parametrize("decorate", [compiled.part, compiled.inlined, compiled.entry])
def test_parts_and_entries_count_no_references(decorate: Callable[..., Any]) -> None:
    assert not decorate(double).targetoptions["_nrt"]


@pytest.mark.skipif(not compiled.COMPILES, reason="numba is not installed or told not to compile")
def test_a_part_has_no_wrapper_for_python() -> None:
    kernel: Any = compiled.part(double)
    assert kernel.targetoptions["no_cpython_wrapper"]


def test_kernels_compile_exactly_where_there_is_a_numba() -> None:
    found = compiled._load_numba() is not None
    assert found == compiled.COMPILES
