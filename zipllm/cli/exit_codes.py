"""Exit codes that are not in the error tree of ``zipllm.errors``; 128 + the signal's number is in ``files.signals``."""

from zipllm.errors import FileError, ZipllmError

BROKEN_PIPE = 141
"""128 + SIGPIPE, as a shell reports it; said in silence, because whoever read the output has what it wanted."""


def exit_code(error: Exception) -> int:
    """Return the exit code an error leads to; what the system refuses is a file error."""
    return error.exit_code if isinstance(error, ZipllmError) else FileError.exit_code
