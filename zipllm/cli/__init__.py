"""The command line: flags, words, exit codes. No algorithm lives here, and nothing heavy is imported at start.

app         the commands and how they are registered
bars        the progress bars themselves; imports rich
bench/      ``bench``
classify/   ``classify``
command     from a function and its options to a command of typer
compress    ``compress``
data        ``data list``, ``data fetch``, ``data verify``
decompress  ``decompress``, ``test``
eval/       ``eval``
experiment  ``experiment``
explain/    ``explain``
generate    ``generate``
jobs        several files, one after the other: open, work, commit, report, worst exit code
list        ``list``
loader      loads the model that the user named
messages    lines on stderr, numbers as people read them
model       ``model list``, ``model show``, ``model verify``, ``model import``, ``model remove``
options     the options that several commands share, and the values of flags
progress    whether a progress bar is shown
reports     files that hold a report: checked before the work, replaced in one step
results     the result of one file as a line or as JSON
tables      tables of several columns
train/      ``train``
voice       how much is said; errors -> lines and exit codes
"""

import os
import sys

from zipllm.files.signals import exit_on_signals


def main() -> None:
    """Run the command line of this process and exit; the entry point of ``zipllm`` and ``python -m zipllm``."""
    exit_on_signals()  # first: from here on Ctrl-C never shows a traceback
    _reserve_standard_descriptors()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # names the locale cannot show
    from zipllm.cli.app import run

    sys.exit(_finish(run()))


def _reserve_standard_descriptors() -> None:
    """Occupy descriptors 0 to 2 if the parent closed them, or the next file opened would become "standard output".

    They are opened the wrong way round, so that using one is an error as it would be on a closed one.
    """
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_WRONLY if descriptor == 0 else os.O_RDONLY)


def _finish(code: int) -> int:
    """Write what is still buffered for standard output, and return the final exit code."""
    from zipllm.cli.messages import complain
    from zipllm.cli.results import StandardOutputError, write_stdout
    from zipllm.cli.voice import BROKEN_PIPE

    try:
        if sys.stdout is not None:
            write_stdout("")
    except BrokenPipeError:
        return BROKEN_PIPE
    except StandardOutputError as error:
        complain(str(error))
        return code or error.exit_code
    return code
