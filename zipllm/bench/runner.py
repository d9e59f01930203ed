"""Files x codecs -> rows: compress in one process, decompress in another, compare, and only then believe a number."""

import contextlib
import filecmp
import os
import statistics
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zipllm.bench.codecs import KINDS
from zipllm.bench.contamination import contamination
from zipllm.bench.external import Programs
from zipllm.bench.inputs import BenchInput
from zipllm.bench.process import Worker, WorkerFailed
from zipllm.bench.result import Measurement, Row
from zipllm.bench.spec import Spec

DEFAULT_TIMEOUT = 24 * 3600.0
Step = Callable[[Spec, BenchInput, str], None]
"""Told what begins: the codec, the file, and the direction."""


@dataclass(frozen=True)
class RunOptions:
    """How to measure.

    Attributes:
        repeat: times each direction runs.
        timeout: seconds for one direction of one file, all repetitions together.
        threads: given to the codecs; 0 leaves it to the libraries.
        along: also code the beginnings of each file, for the curve along it.
        programs: external programs by name.
        scratch: folder for everything temporary, also of the codecs; None is the system's.
        environment: goes into every row.
    """

    repeat: int = 1
    timeout: float = DEFAULT_TIMEOUT
    threads: int = 0
    along: bool = False
    programs: Programs = field(default_factory=dict)
    scratch: Path | None = None
    environment: Mapping[str, Any] = field(default_factory=dict)


def run_benchmark(
    inputs: Sequence[BenchInput],
    specs: Sequence[Spec],
    options: RunOptions,
    *,
    skip: Callable[[BenchInput, Spec], bool] = lambda item, spec: False,
    step: Step | None = None,
) -> Iterator[Row]:
    """Measure every codec on every file, codec after codec.

    Args:
        inputs: from ``prepare_inputs``.
        specs: from ``parse_codecs``.
        options: how.
        skip: whether a pair is left out, because it has been measured before.
        step: told about progress.

    Yields:
        A row for every pair, as soon as it is done. Failures are rows too.
    """
    for spec in specs:
        wanted = [item for item in inputs if not skip(item, spec)]
        if not wanted:
            continue
        with _Pair(spec, options) as pair:
            for item in wanted:
                yield pair.measure(item, step or (lambda spec, item, what: None))


class _Pair:
    """The two workers of one codec: one compresses, the other one decompresses."""

    def __init__(self, spec: Spec, options: RunOptions) -> None:
        self._spec, self._options = spec, options
        self._workers: dict[str, Worker] = {}
        self._facts: dict[str, Any] = {}
        self._reused = spec.name in KINDS and KINDS[spec.name].reused

    def __enter__(self) -> "_Pair":
        return self

    def __exit__(self, *_error: object) -> None:
        self._close()

    def measure(self, item: BenchInput, step: Step) -> Row:
        base: dict[str, Any] = {
            "corpus": item.corpus,
            "file": item.file,
            "sha256": item.sha256,
            "raw_bytes": item.raw_bytes,
            "codec": str(self._spec),
            "environment": self._options.environment,
        }
        try:
            with tempfile.TemporaryDirectory(dir=self._options.scratch) as folder:
                row = self._measure(item, base, Path(folder), step)
        except WorkerFailed as error:
            row = Row(**base, status=error.status, message=str(error))  # type: ignore[arg-type]
        if not self._reused:
            self._close()
        return row

    def _measure(self, item: BenchInput, base: dict[str, Any], folder: Path, step: Step) -> Row:
        archive, back = folder / "archive", folder / "back"
        step(self._spec, item, "compress")
        packed, packing = self._run("compress", item.path, archive)
        self._facts = self._workers["compress"].facts
        base |= {name: self._facts[name] for name in ("level", "model", "model_id", "parameters")}
        base["contaminated"] = contamination(
            item, tuple(self._facts["learned_from"]), tuple(self._facts["learned_names"])
        )
        step(self._spec, item, "decompress")
        try:
            _, unpacking = self._run("decompress", archive, back)
        except WorkerFailed as error:
            return Row(**base, status=error.status, message=f"decompressing: {error}")  # type: ignore[arg-type]
        if not filecmp.cmp(item.path, back, shallow=False):
            return Row(**base, status="mismatch", message=_difference(item.path, back))
        return self._verified(item, base, os.path.getsize(archive), packing, unpacking, packed["along"])

    def _run(self, action: str, source: Path, target: Path) -> tuple[dict[str, Any], Measurement]:
        if action not in self._workers:
            options = self._options
            self._workers[action] = Worker(
                self._spec, options.programs, options.timeout, options.threads, options.scratch
            )
        worker = self._workers[action]
        order = {"do": action, "source": str(source), "target": str(target), "repeat": self._options.repeat}
        answer = worker.ask({**order, "along": self._options.along and action == "compress"})
        if not target.is_file():
            raise WorkerFailed("error", "wrote no result")
        return answer, _measurement(answer, worker.startup_s)

    def _verified(
        self,
        item: BenchInput,
        base: dict[str, Any],
        size: int,
        packing: Measurement,
        unpacking: Measurement,
        along: Sequence[Sequence[int]],
    ) -> Row:
        weights, program = int(self._facts["weights_bytes"]), int(self._facts["program_bytes"])
        return Row(
            **base,
            verified=True,
            compressed_bytes=size,
            bits_per_byte=8 * size / item.raw_bytes if item.raw_bytes else None,
            ratio=item.raw_bytes / size if size else None,
            weights_bytes=weights,
            adjusted_bytes=size + weights,
            program_bytes=program,
            total_bytes=size + weights + program,
            compress_s=packing.median_s,
            decompress_s=unpacking.median_s,
            peak_rss=max(packing.peak_rss, unpacking.peak_rss),
            peak_vram=max(packing.peak_vram, unpacking.peak_vram),
            compress=packing,
            decompress=unpacking,
            along=tuple((int(raw), int(packed)) for raw, packed in along),
        )

    def _close(self) -> None:
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()


def _measurement(answer: Mapping[str, Any], startup_s: float) -> Measurement:
    seconds: list[float] = answer["seconds"]
    middle = statistics.median_low(seconds)  # one that was measured, so that its processor time goes with it
    return Measurement(
        median_s=statistics.median(seconds),
        min_s=min(seconds),
        repeats=len(seconds),
        cpu_s=answer["cpu"][seconds.index(middle)],
        startup_s=startup_s,
        peak_rss=answer["peak_rss"],
        peak_vram=answer["peak_vram"],
    )


def _difference(original: Path, decoded: Path) -> str:
    """Say how the two files differ, in one line."""
    sizes = os.path.getsize(original), os.path.getsize(decoded)
    if sizes[0] != sizes[1]:
        return f"decoded to {sizes[1]} bytes instead of {sizes[0]}"
    offset = 0
    with contextlib.ExitStack() as stack:
        left, right = (stack.enter_context(path.open("rb")) for path in (original, decoded))
        while (one := left.read(1 << 16)) == (two := right.read(1 << 16)):
            offset += len(one)
    offset += next(index for index, (a, b) in enumerate(zip(one, two, strict=True)) if a != b)
    return f"decoded to other bytes, the first at {offset}"
