"""How much a command says, and how its errors become lines and exit codes (``files.signals`` has those of signals)."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NoReturn, TypeVar

import typer

from zipllm.cli.messages import complain, display_name, explain_error, say
from zipllm.cli.results import (
    Result,
    detail_line,
    failure_json,
    file_json,
    print_json,
    result_json,
    result_line,
    write_stdout,
)
from zipllm.errors import FileError, ZipllmError
from zipllm.files.names import STDIN, escape_name

Checked = TypeVar("Checked")

BROKEN_PIPE = 141
"""128 + SIGPIPE, as a shell reports it. Nothing is printed: the reader has what it wanted."""


def exit_code(error: Exception) -> int:
    """Return the exit code an error leads to; what the system refuses is a file error."""
    return error.exit_code if isinstance(error, ZipllmError) else FileError.exit_code


@dataclass(frozen=True)
class Voice:
    """How much a command says, and where.

    Attributes:
        level: -1 nothing, 0 errors, 1 results, 2 and more details.
        progress: a bar may be shown.
        json: results go to standard output as JSON instead of to stderr as text.
    """

    command: str
    level: int = 1
    progress: bool = True
    json: bool = False

    def tell(self, text: str, level: int = 1) -> None:
        """Write a line to stderr from a ``level`` of voice on."""
        if self.level >= level:
            say(text)

    def warn(self, text: str) -> None:
        """Write a warning, which counts as an error."""
        self.tell(f"zipllm: warning: {text}", 0)

    def fail(self, name: str | None, error: Exception) -> int:
        """Report an error with a file (None: with the command as a whole) and return its exit code."""
        message, code = explain_error(name, error), exit_code(error)
        if self.level >= 0:
            complain(message)
        if self.json and name is not None:
            print_json(failure_json(self.command, name, message, code))
        return code

    def check(self, names: Iterable[Checked], check: Callable[[Checked], str]) -> int:
        """Say of each thing, on standard output, what its check returns; report errors, return the worst exit code."""
        worst = 0
        for name in names:
            try:
                text = check(name)
            except ZipllmError as error:
                worst = max(worst, self.fail(None, error))
            else:
                if self.level >= 1:
                    write_stdout(escape_name(text) + "\n")
        return worst

    def skip(self, source: str, output: str) -> None:
        """Report that a file was passed over because its result is there."""
        if self.json:
            print_json(file_json(self.command, source) | {"output": output, "skipped": True})
        else:
            self.tell(f"{escape_name(source)} : skipped, {escape_name(output)} is there", 2)

    def report(self, result: Result) -> None:
        """Report what became of a file: losses as errors, the rest beside data on standard output only with -v."""
        for lost in result.summary.lost:
            self.tell(f"zipllm: {escape_name(result.source)}: {lost}", 0)
        if self.json:
            print_json(result_json(self.command, result))
        else:
            self.tell(result_line(result), 2 if result.output == STDIN else 1)
            self.tell(detail_line(result), 2)
        if result.remark and result.output == STDIN and self.level == 1:  # no line has said it
            self.tell(f"{escape_name(display_name(result.source))} : {result.remark}")


def finish(voice: Voice, run: Callable[[], int]) -> NoReturn:
    """Run a command and exit with its code; report errors outside of a single file."""
    try:
        code = run()
    except BrokenPipeError:
        code = BROKEN_PIPE
    except (ZipllmError, OSError, MemoryError, ImportError) as error:  # ImportError: a library that does not load
        code = voice.fail(None, error)
    raise typer.Exit(code)
