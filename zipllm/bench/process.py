"""The benchmark's end of a worker: starts it, waits no longer than allowed, and survives its crash."""

import contextlib
import json
import os
import selectors
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zipllm.bench.external import Programs
from zipllm.bench.protocol import Facts, Spec
from zipllm.bench.result import Measurement, Status

_SHOWN = 300
_LONGEST_ANSWER = 1 << 20

_running: set[int] = set()


class WorkerFailed(Exception):
    """A codec gave no answer: ``crash``, ``timeout``, ``missing`` or ``error``. Never leaves zipllm.bench."""

    def __init__(self, status: Status, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Coded:
    """A worker's answer: times and memory of one direction of one file, and ``Row.along``."""

    measurement: Measurement
    along: tuple[tuple[int, int], ...]


@dataclass
class Worker:
    """A process in which a codec runs, with settings as in ``RunOptions``.

    Attributes:
        facts: the codec's, once it has started.
        startup_s: seconds from starting the process to the codec being ready.
    """

    spec: Spec
    programs: Programs
    timeout: float
    threads: int = 0
    scratch: Path | None = None
    facts: Facts = field(default_factory=Facts)
    startup_s: float = 0.0

    def __post_init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # closed by close()
        self._program = self.programs.get(self.spec.name)
        if self._program and "timeout" in self._program:
            self.timeout = float(self._program["timeout"])

    def code(self, action: str, source: Path, target: Path, *, repeat: int = 1, along: bool = False) -> Coded:
        """``compress`` or ``decompress`` a file; the process starts if it does not run yet.

        Raises:
            WorkerFailed: no answer, or an answer that reports a failure.
        """
        if self._process is None:
            self._start()
        order = {"do": action, "source": str(source), "target": str(target), "repeat": repeat, "along": along}
        answer = self._exchange(order)
        if not target.is_file():
            raise WorkerFailed("error", "wrote no result")
        return Coded(measurement(answer, self.startup_s), tuple((raw, packed) for raw, packed in answer["along"]))

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
            start_new_session=True,  # makes a group, which ends together
        )
        _running.add(self._process.pid)
        order = {"name": self.spec.name, "settings": self.spec.settings, "program": self._program}
        self.facts = Facts.from_json(self._exchange({**order, "threads": self.threads})["facts"])
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
            raise WorkerFailed(answer.get("status", "error"), str(answer.get("message", ""))[:_SHOWN])
        return answer

    def _line(self) -> bytes:
        """Read one line of the answer; empty when the process has ended."""
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
        """Say how the process ended, with the last line it wrote to stderr."""
        code = self._kill()
        self._errors.seek(0)
        lines = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        try:
            how = f"ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        except ValueError:
            how = f"ended by signal {-code}"
        return f"{how}{': ' + lines[-1][:_SHOWN] if lines else ''}"

    def _kill(self, patience: float = 0.5) -> int:
        """End the process, after ``patience`` seconds to end by itself, and return its exit code."""
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
                with contextlib.suppress(OSError):  # unsent orders
                    stream.close()
        process.wait()
        _running.discard(process.pid)
        return process.returncode if code is None else code


def measurement(answer: Mapping[str, Any], startup_s: float) -> Measurement:
    """Return the figures of one direction from a worker's answer."""
    seconds: list[float] = answer["seconds"]
    middle = statistics.median_low(seconds)  # a real repetition, so that processor time belongs to it
    return Measurement(
        median_s=statistics.median(seconds),
        min_s=min(seconds),
        repeats=len(seconds),
        cpu_s=answer["cpu"][seconds.index(middle)],
        startup_s=startup_s,
        peak_rss=answer["peak_rss"],
        peak_vram=answer["peak_vram"],
    )


def give_up(scratch: str | Path) -> None:
    """End all workers of this process and remove their files; called when a signal ends the process."""
    for pid in tuple(_running):
        _kill_group(pid)
    shutil.rmtree(scratch, ignore_errors=True)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)
