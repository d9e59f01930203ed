"""The command line: flags, words, exit codes. No algorithm lives here, and nothing heavy is imported at start.

app          the commands and how they are registered
options      the flags, once, for all commands
compress, decompress, test, list, train, bench, eval, explain, generate, classify    a command each
data, model  groups of commands
jobs         several files, one after the other: open, work, commit, report, worst exit code
backend      the one door to the codec; imports torch only when it is opened
listing      what an archive says about itself, for ``list``
messages     lines for people on stderr, numbers as people read them
explain_map, explain_json    what every token cost, in colors or signs for the terminal, and as JSON
reports      files that hold a report: checked before the work, replaced in one step
results      the result of one file as a line or as JSON
tables       tables of several columns, as wide as the terminal
voice        how much is said; errors -> lines and exit codes
exit_codes   the codes besides those of ``zipllm.errors``
progress     the progress bar
"""

import os
import sys

from zipllm.files.signals import exit_on_signals


def main() -> None:
    """Run the command line of this process and exit; the entry point of ``zipllm`` and ``python -m zipllm``."""
    exit_on_signals()  # first of all: from here on Ctrl-C never shows a traceback
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
    from zipllm.cli.exit_codes import BROKEN_PIPE
    from zipllm.cli.messages import complain
    from zipllm.cli.results import StandardOutputError, flush_stdout

    try:
        flush_stdout()
    except BrokenPipeError:
        return BROKEN_PIPE
    except StandardOutputError as error:
        complain(str(error))
        return code or error.exit_code
    return code
