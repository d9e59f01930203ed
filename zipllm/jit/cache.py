"""Compiled code on disk. It only saves time: what is damaged, foreign or cannot be kept is compiled again.

numba's own cache trusts its folder: it unpickles whatever lies there, and a damaged file ends every later run. Here a
file holds the SHA-256 of its content, and is read only if nobody but this user or root could have written it. Files lie
in ``$NUMBA_CACHE_DIR/zipllm`` or in the user's cache folder. Their names depend on the source and the processor, so
versions do not meet; of each function the last used ``KEPT`` stay.
"""

import contextlib
import hashlib
import importlib
import logging
import os
import pickle  # noqa: TID251  # numba's compiled code has no other form; ``_read`` says whose files are read
import re
import stat
import sys
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import platformdirs

from zipllm.temporary import create_temporary, discard_temporary, remove_abandoned

KEPT = 24
"""Files of a function: several signatures, processors and versions of the source."""

_SUFFIX = ".nbc"
_DIGEST_BYTES = hashlib.sha256().digest_size
_log = logging.getLogger(__name__)
_said: list[str] = []


class KernelCache:
    """The compiled forms of one function, with the methods that numba's dispatcher calls.

    Args:
        function: compiled by numba.
        source: returns a number that changes with the source of everything compiled into it.
    """

    def __init__(self, function: Callable[..., Any], source: Callable[[], int]) -> None:
        self._function = function
        self._source = source
        self.cache_path = None  # for the dispatcher's ``stats``

    def load_overload(self, signature: Any, target: Any) -> Any:
        """Return the compiled function of a signature, or None."""
        target.refresh()
        with _speed_up_only():
            rebuild: Any = importlib.import_module("numba.core.compiler").CompileResult._rebuild
            key, path = self._key(target.codegen()), self._path(signature, target.codegen())
            content = None if path is None else _read(path)
            if path is not None and content is not None:
                found, payload = pickle.loads(content)  # noqa: S301  # ours alone, see ``_read``
                if found == (key, repr(signature)):
                    os.utime(path)
                    return rebuild(target, *payload)
        return None

    def save_overload(self, signature: Any, result: Any) -> None:
        """Keep a compiled function."""
        if result.lifted or result.library.has_dynamic_globals:  # holds addresses of this process
            return
        with _speed_up_only():
            dumps: Any = importlib.import_module("numba.core.serialize").dumps
            codegen = result.codegen
            path = self._path(signature, codegen)
            if path is not None:
                _write(path, dumps(((self._key(codegen), repr(signature)), result._reduce())))
                for old in sorted(path.parent.glob(f"{self._base}.*{_SUFFIX}"), key=_last_used)[:-KEPT]:
                    old.unlink(missing_ok=True)

    def has_any(self, codegen: Any) -> bool:
        """Whether compiled code for this processor is there, intact, for some signature."""
        with _speed_up_only():
            folder = _folder()
            if folder is not None:
                return any(_read(path) is not None for path in folder.glob(f"{self._prefix(codegen)}*{_SUFFIX}"))
        return False

    @property
    def _base(self) -> str:
        name = re.sub(r"[^\w.]", "", f"{self._function.__module__}.{self._function.__qualname__}")
        return f"{name}.py{sys.version_info[0]}{sys.version_info[1]}"

    def _key(self, codegen: Any) -> str:
        versions = [importlib.import_module(name).__version__ for name in ("numba", "llvmlite")]
        code = self._function.__code__
        closure = [cell.cell_contents for cell in self._function.__closure__ or ()]
        own = (self._base, code.co_code, code.co_names, code.co_consts, closure)
        return repr((versions, codegen.magic_tuple(), self._source(), own))

    def _prefix(self, codegen: Any) -> str:
        return f"{self._base}.{_short(self._key(codegen))}-"

    def _path(self, signature: Any, codegen: Any) -> Path | None:
        folder = _folder()
        return None if folder is None else folder / f"{self._prefix(codegen)}{_short(repr(signature))}{_SUFFIX}"


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _last_used(path: Path) -> float:
    with contextlib.suppress(OSError):
        return path.stat().st_mtime
    return 0.0


@contextlib.contextmanager
def _speed_up_only() -> Iterator[None]:
    """Turn every failure into a line: compiled code can always be made again."""
    try:
        yield
    except Exception as error:  # of the system, of pickle, or of a numba that has changed inside
        _say(f"{type(error).__name__}: {error}")


def _say(problem: str) -> None:
    """Warn of the first problem in a process."""
    if not _said:
        _said.append(problem)
        _log.warning("zipllm: compiled code cannot be kept or used again (%s); this costs only time", problem)


@cache
def _folder() -> Path | None:
    """Return the folder of this user's compiled code, or None if it cannot be made or others can write to it."""
    chosen: str = importlib.import_module("numba").config.CACHE_DIR
    folder = Path(chosen) / "zipllm" if chosen else platformdirs.user_cache_path("zipllm", appauthor=False) / "kernels"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not _ours(os.stat(folder)):
        _say(f"others can write to {os.fspath(folder)!r}")
        return None
    remove_abandoned(os.fspath(folder))
    return folder


def _ours(status: os.stat_result) -> bool:
    """Whether only this user and root can have written it."""
    return status.st_uid in (0, os.geteuid()) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _read(path: Path) -> bytes | None:
    """Return the content of a file of ours, or None if there is none, or a damaged one."""
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as stream:
            if not _ours(os.fstat(stream.fileno())):
                _say(f"others can write to {os.fspath(path)!r}")
                return None
            digest, content = stream.read(_DIGEST_BYTES), stream.read()
    except FileNotFoundError:
        return None
    if hashlib.sha256(content).digest() != digest:
        _say(f"{os.fspath(path)!r} is damaged")
        return None
    return content


def _write(path: Path, content: bytes) -> None:
    descriptor, temporary = create_temporary(os.fspath(path.parent))
    try:
        with open(descriptor, "wb") as stream:
            stream.write(hashlib.sha256(content).digest() + content)
        os.replace(temporary, path)
    finally:
        discard_temporary(temporary)
