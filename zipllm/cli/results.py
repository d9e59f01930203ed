"""Standard output, and the result of one file: as a line for people, as JSON for programs."""

import base64
import contextlib
import json
import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from zipllm.cli.messages import display_name, format_bpb, format_speed
from zipllm.errors import CorruptData
from zipllm.files.names import STDIN, PathError, escape_name

if TYPE_CHECKING:
    from zipllm.progress import Summary


class StandardOutputError(PathError):
    """Standard output is closed or full; unlike an error with one file this ends the command."""


@dataclass(frozen=True)
class Result:
    """What became of one file.

    Attributes:
        source: path, or ``-``.
        output: path, ``-`` for standard output, None if nothing was to be written.
        seconds: wall time, verification included.
        is_archive: whether the output is an archive; otherwise the source is.
        remark: which of the flags had no effect; may be empty.
    """

    source: str
    output: str | None
    summary: "Summary"
    seconds: float
    is_archive: bool
    remark: str = ""


def result_line(result: Result) -> str:
    """Return the line that zstd prints for a file, with bits per byte."""
    summary, target = result.summary, "stdout" if result.output == STDIN else escape_name(result.output or "")
    if result.output is None:
        text = f"{summary.raw_bytes} bytes, whole"
    elif summary.lost:
        text = f"{summary.blocks} whole blocks salvaged, {summary.raw_bytes} bytes ({target})"
    elif not result.is_archive:
        text = f"{summary.raw_bytes} bytes ({target})"
    else:
        where = "" if summary.portable else "; not portable, decodes on this machine only"
        text = _sizes(summary.raw_bytes, summary.coded_bytes, target) + where
    return f"{escape_name(display_name(result.source))} : {text}{f'; {result.remark}' if result.remark else ''}"


def total_line(results: list[Result]) -> str:
    """Return the line under several files."""
    raw = sum(result.summary.raw_bytes for result in results)
    coded = sum(result.summary.coded_bytes for result in results)
    if results[0].is_archive:
        return f"{len(results)} files compressed : {_sizes(raw, coded, None)}"
    return f"{len(results)} files {'tested' if results[0].output is None else 'decompressed'} : {raw} bytes"


def detail_line(result: Result) -> str:
    """Return what -v adds: kinds of blocks, models, time and speed."""
    summary = result.summary
    kinds = ", ".join(f"{count} {coding}" for coding, count in sorted(summary.codings.items()) if count)
    models = ", ".join(model_id.hex()[:16] for model_id in summary.model_ids)
    parts = [
        f"{summary.blocks} block{'s' if summary.blocks != 1 else ''}" + (f" ({kinds})" if kinds else ""),
        f"model {models}" if models else "no model",
        f"{result.seconds:.2f} s",
        format_speed(summary.raw_bytes, result.seconds),
    ]
    return "  " + ", ".join(parts)


def result_json(command: str, result: Result) -> dict[str, object]:
    """Return the result as an object of JSON."""
    summary = result.summary
    return file_json(command, result.source, ok=not summary.lost) | {
        **({"exit_code": CorruptData.exit_code, "lost": [vars(lost) for lost in summary.lost]} if summary.lost else {}),
        **({} if result.output is None else {"output": result.output}),
        "raw_bytes": summary.raw_bytes,
        "compressed_bytes": summary.coded_bytes,
        "bits_per_byte": summary.bits_per_byte,
        "ratio": summary.ratio,
        "blocks": summary.blocks,
        "codings": {coding: count for coding, count in sorted(summary.codings.items()) if count},
        "models": [model_id.hex() for model_id in summary.model_ids],
        **({"portable": summary.portable} if result.is_archive else {}),
        **({"remark": result.remark} if result.remark else {}),
        "sha256": summary.sha256.hex(),
        "seconds": round(result.seconds, 3),
    }


def failure_json(command: str, source: str, message: str, code: int) -> dict[str, object]:
    """Return a failure as an object of JSON; the message also went to stderr."""
    return file_json(command, source, ok=False) | {"exit_code": code, "error": message}


def file_json(command: str, name: str, *, ok: bool = True) -> dict[str, object]:
    """Return how the JSON of every command begins that says something of a file."""
    return {"command": command, "file": name, "ok": ok}


def print_json(record: Mapping[str, object], listed: str = "", items: Iterable[Mapping[str, object]] = ()) -> None:
    """Write one object as one line of ASCII to standard output, at once.

    A text that is not valid UTF-8, such as a file name, gets a neighbor ``KEY_base64`` with its bytes. ``items`` become
    a list of the name ``listed``, if there are any, written as they come.
    """
    shown: dict[str, object] = {}
    for key, value in record.items():
        shown[key] = value
        if isinstance(value, str) and not value.isascii():
            raw = value.encode("utf-8", "surrogateescape")
            shown[key] = raw.decode("utf-8", "replace")
            if shown[key] != value:
                shown[f"{key}_base64"] = base64.b64encode(raw).decode("ascii")
    text, between = json.dumps(shown), f', "{listed}": ['
    left = map(json.dumps, items)
    while some := ", ".join(islice(left, 10_000)):
        write_stdout((text[:-1] if text else "") + between + some)
        text, between = "", ", "
    write_stdout(f"{text}\n" if text else "]}\n")


def write_stdout(text: str) -> None:
    """Write text to standard output, at once. ``BrokenPipeError``, not ``StandardOutputError``, if nobody reads it."""
    if sys.stdout is None:
        raise StandardOutputError("stdout", "is closed")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except OSError as error:
        discard_stdout()
        if isinstance(error, BrokenPipeError):
            raise
        raise StandardOutputError.from_os("stdout", error) from error


def discard_stdout() -> None:
    """Give up what is still buffered; the interpreter tries once more at its end, and must not complain then."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _sizes(raw: int, coded: int, target: str | None) -> str:
    percent = f"{100 * coded / raw:.2f}% " if raw else ""
    bpb = f", {format_bpb(8 * coded / raw)} bpb" if raw else ""
    return f"{percent}({raw} => {coded} bytes{bpb}{', ' + target if target else ''})"
