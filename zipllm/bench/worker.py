"""The process in which one codec runs: ``python -m zipllm.bench.worker``, orders on stdin, answers on stdout.

Orders and answers are lines of JSON. The first order names the codec, and its answer holds the codec's facts. Each
further order is ``{"do": "compress", "source": PATH, "target": PATH, "repeat": N}`` or ``"decompress"``, and its answer
holds the seconds of every repetition, processor time and peak memory. Whatever a codec prints goes to stderr. This
module imports only what every codec needs, so that memory and start-up are the codec's own.
"""

import json
import os
import resource
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import IO, Any

from zipllm.bench.codecs import open_codec
from zipllm.bench.protocol import Codec, Spec
from zipllm.errors import MissingPackage, ZipllmError
from zipllm.machine import choose_threads

_ALONG_PIECES = 8


def main() -> None:
    """Serve until stdin ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a library that prints must not spoil an answer
    orders = sys.stdin
    order = json.loads(orders.readline())
    spec = Spec(order["name"], tuple(order["settings"]))
    codec: list[Codec] = []

    def opening() -> dict[str, Any]:
        if order["threads"]:
            choose_threads(order["threads"])
        codec.append(_open(spec, order["program"]))
        return {"facts": asdict(codec[0].facts)}

    _answer(answers, opening)
    if codec:
        for line in orders:
            _answer(answers, partial(_work, codec[0], json.loads(line)))


def _open(spec: Spec, program: Mapping[str, Any] | None) -> Codec:
    if program is None:
        return open_codec(spec)
    from zipllm.bench.external import open_program

    return open_program(spec, program)


def _answer(answers: IO[str], work: Callable[[], dict[str, Any]]) -> None:
    """Do the work and answer with its result or its error."""
    try:
        answer = {"ok": True, **work()}
    except MissingPackage as error:
        answer = {"ok": False, "status": "missing", "message": str(error)}
    except (ZipllmError, OSError) as error:
        answer = {"ok": False, "status": "error", "message": str(error)}
    except Exception as error:  # a codec may raise anything, and that is its result
        answer = {"ok": False, "status": "error", "message": f"{type(error).__name__}: {error}"}
    answers.write(json.dumps(answer) + "\n")
    answers.flush()


def _work(codec: Codec, order: dict[str, Any]) -> dict[str, Any]:
    transform = codec.compress if order["do"] == "compress" else codec.decompress
    data = Path(order["source"]).read_bytes()
    _forget_peak()
    seconds, processor = [], []
    result = b""
    for _ in range(order["repeat"]):
        result = b""  # frees the last result, which would count as memory of the codec
        begun, busy = time.perf_counter(), _processor_seconds()
        result = transform(data)
        seconds.append(time.perf_counter() - begun)
        processor.append(_processor_seconds() - busy)
    measured = {"seconds": seconds, "cpu": processor, "peak_rss": _peak_memory(), "peak_vram": _peak_video_memory()}
    Path(order["target"]).write_bytes(result)
    along = _along(codec, data) if order.get("along") else []
    return {**measured, "along": along}


def _along(codec: Codec, data: bytes) -> list[tuple[int, int]]:
    """Sizes of the first eighth, two eighths, ... as archives of their own."""
    ends = [len(data) * piece // _ALONG_PIECES for piece in range(1, _ALONG_PIECES + 1)]
    return [(end, len(codec.compress(data[:end]))) for end in dict.fromkeys(ends) if end]


def _processor_seconds() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


def _forget_peak() -> None:
    """Reset the peak where the system can: the file before may have been larger."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak_memory() -> int:
    """Peak resident memory in bytes, of this process or of the largest program it ran.

    ``VmHWM`` belongs to this program alone; ``ru_maxrss`` may still count the process that started it.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        own = next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
    return max(own, children)


def _peak_video_memory() -> int:
    torch = sys.modules.get("torch")
    return int(torch.cuda.max_memory_allocated()) if torch is not None and torch.cuda.is_available() else 0


if __name__ == "__main__":
    main()
