"""Compiled code is kept on disk, and told from that of other sources."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from zipllm.jit.compiled import COMPILES

if not COMPILES:
    pytest.skip("numba is missing or told not to compile", allow_module_level=True)

from zipllm.jit import compiled

SCRIPT = """
import sys
from zipllm.jit import compiled

def build(version):
    def kernel(number):
        return number + version
    return compiled.entry(kernel)

kernel = build(int(sys.argv[1]))
print(compiled.is_cached(kernel), kernel(1), compiled.is_cached(kernel))
"""


def run(folder: Path, version: int) -> str:
    script = folder / "script.py"
    if not script.exists():
        script.write_text(SCRIPT)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(folder), "PYTHONPATH": str(Path(compiled.__file__).parents[2])}
    command = [sys.executable, str(script), str(version)]
    return subprocess.run(command, env=environment, check=True, capture_output=True, text=True).stdout.strip()


def test_a_later_process_finds_the_compiled_code_of_its_own_version_only(tmp_path: Path) -> None:
    assert run(tmp_path, 10) == "False 11 True"
    assert run(tmp_path, 10) == "True 11 True"
    assert run(tmp_path, 20) == "False 21 True"
    assert run(tmp_path, 10) == "True 11 True"


def test_a_numba_that_looks_different_inside_means_not_cached() -> None:
    assert not compiled.is_cached(object())


def test_without_a_cache_folder_the_entry_compiles_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    def njit(function: Any, **options: Any) -> Any:
        if options.get("cache"):
            raise RuntimeError("cannot cache function: no locator available")
        return function

    monkeypatch.setattr(compiled, "_njit", njit)
    assert compiled.entry(abs) is abs


def test_the_digest_is_that_of_the_sources() -> None:
    one, other = Path(__file__), Path(compiled.__file__)
    assert compiled.source_digest([one, other]) == compiled.source_digest([other, one])
    assert compiled.source_digest([one]) != compiled.source_digest([other])
    assert 0 <= compiled.source_digest([one]) < 1 << 60


def test_the_digest_has_all_of_its_60_bits(tmp_path: Path) -> None:
    seen = 0
    for number in range(30):
        path = tmp_path / "source.py"
        path.write_text(f"{number}")
        seen |= compiled.source_digest([path])
    assert seen == (1 << 60) - 1
