"""How much a command says, and how its errors become lines and exit codes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NoReturn

import typer

from zipllm.cli.exit_codes import BROKEN_PIPE, exit_code
from zipllm.cli.messages import complain, explain, say
from zipllm.cli.results import Command, Result, detail_line, failure_json, print_json, result_json, result_line
from zipllm.errors import ZipllmError
from zipllm.files.names import STDIN, escape_name


@dataclass(frozen=True)
class Voice:
    """How much is said, and to whom.

    Attributes:
        command: what is being done.
        level: -1 nothing, 0 errors, 1 results, 2 and more details.
        progress: a bar may be shown.
        json: results go to standard output as JSON instead of to stderr as text.
    """

    command: Command
    level: int = 1
    progress: bool = True
    json: bool = False

    def fail(self, name: str | None, error: Exception) -> int:
        """Tell of an error with a file (None: with the command as a whole) and return its exit code."""
        message, code = explain("stdin" if name == STDIN else name, error), exit_code(error)
        if self.level >= 0:
            complain(message)
        if self.json and name is not None:
            print_json(failure_json(self.command, name, message, code))
        return code

    def report(self, result: Result) -> None:
        """Tell what became of a file; next to data on standard output only when asked to tell more.

        What was lost of a salvaged archive counts as an error.
        """
        if self.level >= 0:
            for lost in result.summary.lost:
                complain(f"{escape_name(result.source)}: {lost}")
        if self.json:
            print_json(result_json(result))
        elif self.level >= (2 if result.output == STDIN else 1):
            say(result_line(result))
            if self.level >= 2:
                say(detail_line(result))


def finish(voice: Voice, run: Callable[[], int]) -> NoReturn:
    """Run a command to its exit code, whatever goes wrong outside of a single file."""
    try:
        code = run()
    except BrokenPipeError:
        code = BROKEN_PIPE
    except (ZipllmError, OSError, MemoryError) as error:
        code = voice.fail(None, error)
    raise typer.Exit(code)
