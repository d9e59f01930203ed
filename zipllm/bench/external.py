"""Any program as a codec, through an entry of a TOML file.

    [cmix]
    compress = "cmix -c {in} {out}"
    decompress = "cmix -d {in} {out}"
    timeout = 3600                      # seconds for one command; optional

``{in}`` and ``{out}`` are files in a new folder. Commands are split into words as by a shell, but no shell runs.
Commands without ``{out}`` write the result to standard output. ``{0}`` stands for SETTING in ``cmix:SETTING``.
"""

import shlex
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from zipllm.bench.codecs import KINDS
from zipllm.bench.protocol import Codec, Facts, Spec, file_size
from zipllm.errors import MissingPackage, UsageError, ZipllmError, file_errors

Programs = Mapping[str, Mapping[str, Any]]
_FIELDS: Mapping[str, tuple[type, ...]] = {"compress": (str,), "decompress": (str,), "timeout": (int, float)}
_SHOWN = 200


class ProgramFailed(ZipllmError):
    """An external program ended with an error."""


def read_programs(path: Path) -> Programs:
    """Read the entries of a TOML file.

    Raises:
        FileError: the file cannot be read.
        UsageError: the file is not TOML, or an entry is not as described above.
    """
    try:
        with file_errors(path):
            entries = tomllib.loads(path.read_text(encoding="utf-8"))
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


def open_program(spec: Spec, entry: Mapping[str, Any]) -> Codec:
    """Prepare a program.

    Raises:
        MissingPackage: the program is not installed.
        UsageError: a command cannot be split into words.
    """
    setting = "/".join(spec.settings)
    try:
        words = (shlex.split(entry[name]) for name in ("compress", "decompress"))
        commands = [tuple(word.replace("{0}", setting) for word in command) for command in words]
    except ValueError as error:
        raise UsageError(f"{spec}: {error}") from error
    for program, *_ in commands:
        if shutil.which(program) is None:
            raise MissingPackage(f"the program {program!r} is not installed")
    facts = Facts(setting, program_bytes=file_size(shutil.which(commands[0][0])))
    return Codec(partial(_run, commands[0]), partial(_run, commands[1]), facts)


def _run(words: tuple[str, ...], data: bytes) -> bytes:
    """Run a command in a folder of its own, so that the archive is all that one direction hands to the other."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder) / "in", Path(folder) / "out"
        source.write_bytes(data)
        command = [word.replace("{in}", str(source)).replace("{out}", str(target)) for word in words]
        direct = any("{out}" in word for word in words)
        done = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            said = done.stderr.decode("utf-8", "replace").strip()[-_SHOWN:]
            raise ProgramFailed(f"{words[0]} ended with exit code {done.returncode}{': ' + said if said else ''}")
        if direct and not target.is_file():
            raise ProgramFailed(f"{words[0]} wrote no output")
        return target.read_bytes() if direct else done.stdout
