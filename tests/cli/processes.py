"""Runs of the command line in processes of their own, and data for which no model is needed."""

import contextlib
import io
import json
import os
import random
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions

# Random bytes are stored: nothing of this needs a model, so it works before one exists and is fast.
CONTENT = random.Random(1).randbytes(5000)

TIMEOUT_SECONDS = 120


def archive(content: bytes = CONTENT, block_size: int = 16 << 20) -> bytes:
    """An archive written by the codec without a model."""
    sink = io.BytesIO()
    compress_stream(io.BytesIO(content), sink, engine=None, options=EncodeOptions(block_size=block_size))
    return sink.getvalue()


ARCHIVE = archive()


@dataclass(frozen=True)
class Outcome:
    """What a run left behind: exit code, standard output, stderr (decoded)."""

    code: int
    out: bytes
    err: str

    @property
    def error(self) -> tuple[int, str]:
        """Code and stderr of a run that must have written nothing to standard output."""
        assert self.out == b""
        return self.code, self.err


@dataclass
class Running:
    """A process that was started.

    Attributes:
        pid: its id, for signals.
        answer: where its exit code will come from.
        out: its standard output, if that is a file here.
        err: its stderr, likewise.
    """

    pid: int
    answer: IO[bytes]
    out: IO[bytes]
    err: IO[bytes]

    def wait(self) -> Outcome:
        """Wait for its end."""
        code = int(self.answer.readline())
        self.answer.close()
        texts = []
        for file in (self.out, self.err):
            file.seek(0)
            texts.append(file.read())
            file.close()
        return Outcome(code, texts[0], texts[1].decode())

    def signal(self, number: int) -> Outcome:
        """Send a signal and wait for its end."""
        os.kill(self.pid, number)
        return self.wait()


@dataclass(frozen=True)
class CommandLine:
    """Starts ``zipllm`` in a folder, through the zygote that listens on ``socket_path``."""

    socket_path: str
    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def start(
        self,
        *arguments: str | bytes | Path,
        stdin: bytes | int = b"",
        stdout: int | None = None,
        stderr: int | None = None,
        file_size: int | None = None,
    ) -> Running:
        """Start without waiting.

        Args:
            arguments: of the command.
            stdin: content, or a descriptor.
            stdout: a descriptor; otherwise a file whose content is in the outcome.
            stderr: likewise.
            file_size: no file may grow beyond this many bytes.
        """
        with contextlib.ExitStack() as stack:
            if isinstance(stdin, bytes):
                given = stack.enter_context(tempfile.TemporaryFile())
                given.write(stdin)
                given.seek(0)
                stdin = given.fileno()
            out, err = tempfile.TemporaryFile(), tempfile.TemporaryFile()  # noqa: SIM115  # closed by wait()
            descriptors = (
                stdin,
                out.fileno() if stdout is None else stdout,
                err.fileno() if stderr is None else stderr,
            )
            request = {
                "arguments": [os.fsdecode(argument) for argument in arguments],
                "folder": str(self.folder),
                "environment": self.environment,
                "file_size": file_size,
            }
            connection = stack.enter_context(socket.socket(socket.AF_UNIX))
            connection.settimeout(TIMEOUT_SECONDS)
            connection.connect(self.socket_path)
            socket.send_fds(connection, [json.dumps(request).encode()], descriptors)
            answer = connection.makefile("rb")
            return Running(int(answer.readline()), answer, out, err)

    def __call__(self, *arguments: str | bytes | Path, **options: Any) -> Outcome:
        """Run to the end; arguments as ``start``."""
        return self.start(*arguments, **options).wait()

    def names(self) -> set[str]:
        """What is in the folder, hidden files too."""
        return set(os.listdir(self.folder))


@contextlib.contextmanager
def closed_pipe() -> Iterator[int]:
    """The writing end of a pipe that nobody reads."""
    reader, writer = os.pipe()
    os.close(reader)
    yield writer
    os.close(writer)


def wait_until(condition: Callable[[], object]) -> None:
    """Wait for something another process does; fails when it does not come."""
    end = time.monotonic() + TIMEOUT_SECONDS
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)
