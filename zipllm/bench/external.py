"""Any program as a codec, through an entry of a TOML file.

    [cmix]
    compress = "cmix -c {in} {out}"
    decompress = "cmix -d {in} {out}"
    timeout = 3600                      # seconds for one command; optional

``{in}`` and ``{out}`` are files in a new folder. The words are split as a shell would, but no shell is run. Commands
without ``{out}`` write the result to standard output. ``{0}`` stands for what follows the colon in ``cmix:SETTING``.
"""

import shlex
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from zipllm.bench.codecs import KINDS, Facts, MissingCodec, file_size
from zipllm.bench.spec import Spec
from zipllm.errors import FileError, UsageError, ZipllmError

Programs = Mapping[str, Mapping[str, Any]]
_FIELDS: Mapping[str, tuple[type, ...]] = {"compress": (str,), "decompress": (str,), "timeout": (int, float)}
_SHOWN = 200


class ProgramFailed(ZipllmError):
    """An external program ended with an error."""


def read_programs(path: Path) -> Programs:
    """Read the entries of a TOML file.

    Raises:
        FileError: it cannot be read.
        UsageError: it is not TOML, or an entry is not as described above.
    """
    try:
        entries = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise FileError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path}: not valid TOML ({error})") from error
    for name, entry in entries.items():
        _check(path, name, entry)
    return entries


def _check(path: Path, name: str, entry: Any) -> None:
    if name in KINDS:
        raise UsageError(f"{path}: {name!r} is the name of a codec that zipllm has itself")
    if not isinstance(entry, dict) or not {"compress", "decompress"} <= set(entry) <= set(_FIELDS):
        raise UsageError(f"{path}: [{name}] must have compress and decompress, may have timeout, and nothing else")
    for field, kinds in _FIELDS.items():
        if field in entry and (not isinstance(entry[field], kinds) or isinstance(entry[field], bool)):
            raise UsageError(f"{path}: [{name}] {field} is not a {'text' if str in kinds else 'number'}")
    for field in ("compress", "decompress"):
        if "{in}" not in entry[field]:
            raise UsageError(f"{path}: [{name}] {field} does not mention {{in}}")


@dataclass(frozen=True)
class ProgramCodec:
    """Two commands; each runs in a folder of its own, so that nothing but the archive gets from one to the other."""

    packing: tuple[str, ...]
    unpacking: tuple[str, ...]
    facts: Facts

    def compress(self, data: bytes) -> bytes:
        return _run(self.packing, data)

    def decompress(self, archive: bytes) -> bytes:
        return _run(self.unpacking, archive)


def open_program(spec: Spec, entry: Mapping[str, Any]) -> ProgramCodec:
    """Prepare a program.

    Raises:
        MissingCodec: it is not installed.
        UsageError: the command cannot be split into words.
    """
    setting = "/".join(spec.settings)
    commands = [_words(spec, entry[name], setting) for name in ("compress", "decompress")]
    for words in commands:
        if shutil.which(words[0]) is None:
            raise MissingCodec(f"the program {words[0]!r} is not installed")
    size = file_size(shutil.which(commands[0][0]))
    return ProgramCodec(commands[0], commands[1], Facts(setting, program_bytes=size))


def _words(spec: Spec, command: str, setting: str) -> tuple[str, ...]:
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise UsageError(f"{spec}: {command!r}: {error}") from error
    return tuple(word.replace("{0}", setting) for word in words)


def _run(words: tuple[str, ...], data: bytes) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in", Path(folder) / "out"
        source.write_bytes(data)
        paths = {"{in}": str(source), "{out}": str(target)}
        command = [word.replace("{in}", paths["{in}"]).replace("{out}", paths["{out}"]) for word in words]
        direct = any("{out}" in word for word in words)
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip()[-_SHOWN:]
            raise ProgramFailed(f"{words[0]} ended with exit code {done.returncode}{': ' + said if said else ''}")
        if direct and not target.is_file():
            raise ProgramFailed(f"{words[0]} wrote no output")
        return target.read_bytes() if direct else done.stdout
