"""Runs of the real command line in processes of their own, and data for which no model is needed."""

import io
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions

# Random bytes are stored: nothing of this needs a model, so it works before one exists and starts fast.
CONTENT = random.Random(1).randbytes(5000)


def archive(content: bytes = CONTENT, block_size: int = 4 << 20) -> bytes:
    """An archive written by the codec without a model."""
    sink = io.BytesIO()
    compress_stream(io.BytesIO(content), sink, engine=None, options=EncodeOptions(block_size=block_size))
    return sink.getvalue()


ARCHIVE = archive()


@dataclass(frozen=True)
class Outcome:
    """What a process left behind: exit code, standard output, stderr (decoded)."""

    code: int
    out: bytes
    err: str

    @property
    def error(self) -> tuple[int, str]:
        """Code and stderr of a run that must not have said anything else."""
        assert self.out == b""
        return self.code, self.err


@dataclass(frozen=True)
class CommandLine:
    """Starts ``zipllm`` in a folder."""

    folder: Path
    environment: dict[str, str] = field(default_factory=dict)

    def command(self, arguments: Iterable[str | bytes | Path]) -> Sequence[str | bytes]:
        return [sys.executable, "-m", "zipllm", *(os.fspath(argument) for argument in arguments)]

    def __call__(self, *arguments: str | bytes | Path, stdin: bytes | int | None = None, **options: object) -> Outcome:
        """Run to the end. ``stdin`` is content or a descriptor; nothing by default."""
        given: dict[str, object] = {"input": stdin} if isinstance(stdin, bytes) else {"stdin": stdin or subprocess.DEVNULL}
        settings = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **given, **options}
        done = subprocess.run(
            self.command(arguments), cwd=self.folder, env=self.environment, timeout=120, check=False, **settings
        )
        return Outcome(done.returncode, done.stdout or b"", (done.stderr or b"").decode())

    def start(self, *arguments: str | bytes | Path, **options: object) -> subprocess.Popen[bytes]:
        """Start without waiting."""
        settings = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
        return subprocess.Popen(self.command(arguments), cwd=self.folder, env=self.environment, **settings)

    def names(self) -> set[str]:
        """What is in the folder, hidden files too."""
        return set(os.listdir(self.folder))


def wait_until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Wait for something another process does; fails when it does not come."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)
