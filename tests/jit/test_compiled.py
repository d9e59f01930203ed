"""Kernels compile where numba can, and stay plain functions where it cannot."""

import importlib
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, NamedTuple

import pytest

from zipllm.jit import compiled


def double(value: int) -> int:
    return 2 * value


class Small(NamedTuple):
    value: int


class Large(Small):
    __slots__ = ()


@compiled.class_constant
def rank(kind: type) -> int:
    return 2 if kind is Large else 1


def rank_and_value(item: Small) -> int:
    return 10 * rank(item) + item.value


def test_a_constant_of_a_class_is_told_apart_compiled_and_plain() -> None:
    kernel = compiled.entry(rank_and_value)
    for count in (kernel, rank_and_value):
        assert [count(Small(3)), count(Large(3)), count(Small(4))] == [13, 23, 14]


def test_without_numba_a_kernel_stays_what_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled, "_NUMBA", None)
    assert compiled.compiled(double) is double


@pytest.mark.parametrize("error", [ImportError("needs NumPy 2.3"), SystemError("other numpy"), OSError("no libm")])
def test_a_numba_that_does_not_load_is_no_numba(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(name: str) -> Any:
        raise error

    monkeypatch.setattr(importlib, "import_module", refuse)
    assert compiled._load_numba() == (None, f"{type(error).__name__}: {error}")


def test_a_numba_told_not_to_compile_is_no_numba_and_no_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    fake = SimpleNamespace(config=SimpleNamespace(DISABLE_JIT=1, NUMBA_NUM_THREADS=1))
    monkeypatch.setattr(importlib, "import_module", lambda name: fake)
    assert compiled._load_numba() == (None, "")


@pytest.mark.parametrize(
    ("problem", "sizes", "lines"),
    [("ImportError: x", [1024], 0), ("ImportError: x", [1024, 1, 1, 10**6], 1), ("", [10**9], 0)],
)
def test_work_without_a_numba_that_should_load_is_called_slow_once(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, problem: str, sizes: list[int], lines: int
) -> None:
    monkeypatch.setattr(compiled, "_PROBLEM", problem)
    monkeypatch.setattr(compiled, "_slow_bytes", [])
    for size in sizes:
        compiled.note_work(size)
    assert len(caplog.messages) == lines
    assert all(problem in message and "slower" in message for message in caplog.messages)


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
    found = compiled._load_numba()[0] is not None
    assert found == compiled.COMPILES
