"""The benchmark's end of a worker: starts it, waits no longer than allowed, and survives whatever becomes of it."""

import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zipllm.bench.external import Programs
from zipllm.bench.spec import Spec

_SHOWN = 300
_LONGEST_ANSWER = 1 << 20

_running: set[int] = set()


class WorkerFailed(Exception):
    """A codec did not give an answer. Never leaves zipllm.bench.

    Args:
        status: ``crash``, ``timeout``, ``missing`` or ``error``.
        message: what is known about it.
    """

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass
class Worker:
    """A process in which a codec runs.

    Attributes:
        spec: the codec.
        programs: external programs, by name.
        timeout: seconds for one answer.
        threads: of the processor; 0 leaves the choice to the libraries.
        scratch: where the codec puts temporary files; None is the system's choice.
        facts: what the codec says about itself, once it has started.
        startup_s: seconds from starting the process to the codec being ready.
    """

    spec: Spec
    programs: Programs
    timeout: float
    threads: int = 0
    scratch: Path | None = None
    facts: dict[str, Any] = field(default_factory=dict)
    startup_s: float = 0.0

    def __post_init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        self._program = self.programs.get(self.spec.name)
        if self._program and "timeout" in self._program:
            self.timeout = float(self._program["timeout"])

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        """Give an order and return the answer; the process is started if it is not running.

        Raises:
            WorkerFailed: there is no answer, or one that says that the codec failed.
        """
        if self._process is None:
            self._start()
        return self._exchange(order)

    def close(self) -> None:
        """End the process and everything it has started."""
        self._kill(0.0)
        self._errors.close()

    def _start(self) -> None:
        begun = time.perf_counter()
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        if self.scratch is not None:
            environment["TMPDIR"] = os.fspath(self.scratch)
        self._process = subprocess.Popen(
            [sys.executable, "-m", "zipllm.bench.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env=environment,
            start_new_session=True,  # so that all it starts can be ended with it
        )
        _running.add(self._process.pid)
        order = {"name": self.spec.name, "settings": self.spec.settings, "program": self._program}
        self.facts = self._exchange({**order, "threads": self.threads})["facts"]
        self.startup_s = time.perf_counter() - begun

    def _exchange(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process is not None
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(order).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            raise WorkerFailed("crash", self._last_words()) from None
        try:
            answer: dict[str, Any] = json.loads(self._line())
        except ValueError:
            raise WorkerFailed("crash", self._last_words()) from None
        if not answer.get("ok"):
            self._kill()
            raise WorkerFailed(str(answer.get("status", "error")), str(answer.get("message", ""))[:_SHOWN])
        return answer

    def _line(self) -> bytes:
        """Read one line of the answer; empty when the process has ended.

        Raises:
            WorkerFailed: it takes too long.
        """
        assert self._process is not None
        assert self._process.stdout is not None
        end, line = time.monotonic() + self.timeout, b""
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while not line.endswith(b"\n") and len(line) < _LONGEST_ANSWER:
                if not selector.select(max(0.0, end - time.monotonic())):
                    self._kill()
                    raise WorkerFailed("timeout", f"no result after {self.timeout:g} s")
                piece = os.read(self._process.stdout.fileno(), 1 << 16)
                if not piece:
                    break
                line += piece
        return line

    def _last_words(self) -> str:
        """How the process ended and the last line it wrote to stderr."""
        code = self._kill()
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        try:
            how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        except ValueError:
            how = f"ended by signal {-code}"
        return f"{how}{': ' + lines[-1][:_SHOWN] if lines else ''}"

    def _kill(self, patience: float = 0.5) -> int:
        """End the process and return its exit code; negative for a signal. One that ends by itself keeps its own."""
        process, self._process = self._process, None
        if process is None:
            return 0
        try:
            code: int | None = process.wait(patience)
        except subprocess.TimeoutExpired:
            code = None
        _kill_group(process.pid)
        for stream in (process.stdin, process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except OSError:
                    continue  # what was not read by then never will be
        process.wait()
        _running.discard(process.pid)
        return process.returncode if code is None else code


def give_up(scratch: str | Path) -> None:
    """End every worker of this process and remove what they have left; called when a signal ends it."""
    for pid in tuple(_running):
        _kill_group(pid)
    shutil.rmtree(scratch, ignore_errors=True)


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return
