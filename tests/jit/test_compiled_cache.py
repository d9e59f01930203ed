"""Compiled code is kept on disk, told from that of other sources, and never trusted or needed."""

import compileall
import errno
import os
import pickle  # noqa: TID251  # a hostile file is made, none is opened
import shutil
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from zipllm import temporary
from zipllm.jit import cache, compiled

pytestmark = pytest.mark.skipif(not compiled.COMPILES, reason="numba is missing or told not to compile")

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


def double(number: int) -> int:
    return 2 * number


def triple(number: int) -> int:
    return 3 * number


def calling(inner: Any) -> Callable[[int], int]:
    def outer(number: int) -> int:
        return int(inner(number))

    return outer


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache in this process, which has not complained yet."""
    import numba

    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(cache, "_said", [])
    cache._folder.cache_clear()
    return tmp_path / "zipllm"


def call(function: Callable[[int], int] = double) -> bool:
    """Compile or load a function, check its result, and return whether it came from the cache."""
    kernel: Any = compiled.entry(function)
    assert kernel(7) == function(7)
    return bool(kernel.stats.cache_hits)


def only(folder: Path) -> Path:
    (path,) = folder.iterdir()
    return path


def replaced_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def replaced_by_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def linked(path: Path) -> None:
    path.rename(path.with_suffix(".real"))
    path.symlink_to(path.with_suffix(".real"))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[:-1]),
    "cut inside the digest": lambda path: path.write_bytes(path.read_bytes()[:9]),
    "empty": lambda path: path.write_bytes(b""),
    "zeroed": lambda path: path.write_bytes(bytes(path.stat().st_size)),
    "garbage": lambda path: path.write_bytes(os.urandom(path.stat().st_size)),
    "one bit": lambda path: path.write_bytes(path.read_bytes()[:-9] + bytes([path.read_bytes()[-9] ^ 1]) + bytes(8)),
    "digest of something else": lambda path: path.write_bytes(bytes(32) + path.read_bytes()[32:]),
    "longer": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "no pickle": lambda path: path.write_bytes(sha256(b"x").digest() + b"x"),
    "another pickle": lambda path: path.write_bytes(sha256(b"N.").digest() + b"N."),
    "group may write": lambda path: path.chmod(0o660),
    "all may write": lambda path: path.chmod(0o606),
    "a folder": replaced_by_folder,
    "a pipe": replaced_by_pipe,
    "a link": linked,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_costs_one_line_and_is_made_anew(
    folder: Path, caplog: pytest.LogCaptureFixture, damage: str
) -> None:
    assert not call()
    assert call()
    DAMAGES[damage](only(folder))
    assert not call()
    assert len(caplog.messages) == 1
    assert "this costs only time" in caplog.messages[0]
    assert call() == (damage != "a folder")
    assert len(caplog.messages) == 1


def test_a_file_of_another_function_is_not_taken_for_its_own(folder: Path) -> None:
    call()
    path = only(folder)
    content = path.read_bytes()
    path.unlink()
    call(triple)
    only(folder).write_bytes(content)
    assert not call(triple)


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770, 0o702])
def test_a_folder_that_others_can_write_to_is_not_used(
    folder: Path, caplog: pytest.LogCaptureFixture, mode: int
) -> None:
    call()
    ran = folder.parent / "ran"
    code = pickle.dumps(Hostile(ran))
    only(folder).write_bytes(sha256(code).digest() + code)
    folder.chmod(mode)
    cache._folder.cache_clear()
    assert not call()
    assert not ran.exists()
    assert len(caplog.messages) == 1
    assert "others can write to" in caplog.messages[0]
    folder.chmod(0o700)
    cache._folder.cache_clear()
    call()
    assert ran.exists(), "the file was hostile"


class Hostile:
    """Makes a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
@pytest.mark.parametrize("owner", [12345, None])
def test_a_folder_of_another_user_is_not_used(folder: Path, monkeypatch: pytest.MonkeyPatch, owner: int | None) -> None:
    call()
    monkeypatch.setattr(os, "geteuid", lambda: 4321)
    os.chown(folder, 4321 if owner is None else owner, -1)
    cache._folder.cache_clear()
    assert call() == (owner is None)


@pytest.mark.parametrize("function", ["create_temporary", "os.replace", "Path.mkdir"])
def test_a_full_disk_costs_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, function: str
) -> None:
    def full(*_: Any, **__: Any) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(f"zipllm.jit.cache.{function}", full)
    assert not call()
    assert not call(triple)
    assert len(caplog.messages) == 1
    assert "No space left" in caplog.messages[0]
    assert not folder.exists() or not list(folder.iterdir())


def test_what_a_killed_run_left_is_removed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(mode=0o700)
    (folder / ".zipllm-0123456789abcdef.tmp").write_bytes(b"half")
    monkeypatch.setattr(temporary, "ABANDONED_SECONDS", 0)
    call()
    assert [path.suffix for path in folder.iterdir()] == [".nbc"]


def test_of_each_function_the_last_used_files_stay(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache, "KEPT", 2)
    kernel: Any = compiled.entry(double)
    for number in (1, 1.0, 1j, True):
        kernel(number)
    call(triple)
    assert len(list(folder.glob("*double*"))) == 2
    assert len(list(folder.glob("*triple*"))) == 1


def test_a_numba_that_has_changed_inside_costs_one_line(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from numba.core import serialize

    monkeypatch.delattr(serialize, "dumps")
    assert not call()
    assert len(caplog.messages) == 1


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


def test_what_numba_did_not_compile_is_not_cached() -> None:
    assert not compiled.is_cached(object())


def test_the_digest_is_that_of_the_sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = "zipllm.errors", "zipllm.temporary"
    assert compiled.source_digest(one, other) == compiled.source_digest(other, one)
    assert len({compiled.source_digest(*names) for names in ([], [one], [other], [one, other], ["zipllm.jit"])}) == 5
    assert 0 <= compiled.source_digest(one) < 1 << 60
    (tmp_path / "seen").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "seen/__init__.py").touch()
    seen = 0
    for number in range(30):
        (tmp_path / "seen/module.py").write_text(f"{number}")
        seen |= compiled.source_digest("seen")
    assert seen == (1 << 60) - 1


@pytest.mark.parametrize("form", ["zip", "compiled"])
def test_sources_may_lie_in_a_zip_or_be_compiled_already(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    package, place = f"packed_{form}", tmp_path / form
    (place / package).mkdir(parents=True)
    for name in ("__init__", "one", "other"):
        (place / package / f"{name}.py").write_text(f"NAME = {name!r}")
    if form == "compiled":
        compileall.compile_dir(place, legacy=True, quiet=1)
        for source in place.rglob("*.py"):
            source.unlink()
    else:
        place = Path(shutil.make_archive(str(tmp_path / "packed"), "zip", place))
    monkeypatch.syspath_prepend(place)
    names = (package, f"{package}.one", f"{package}.other")
    assert len({compiled.source_digest(*each) for each in (names[:1], names[1:2], names[2:], ())}) == 4


def test_code_that_holds_other_code_is_not_kept(folder: Path) -> None:
    """Two functions that differ only in what their closures call must not share compiled code."""
    for inner in (double, triple, double):
        kernel: Any = compiled.entry(calling(compiled.part(inner)))
        assert kernel(7) == inner(7)
        assert not compiled.is_cached(kernel)
    assert not list(folder.glob("*outer*"))
