"""Files x codecs -> rows: one process compresses, another decompresses, and only equal files give numbers."""

import contextlib
import filecmp
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zipllm.bench.codecs import KINDS
from zipllm.bench.contamination import contamination
from zipllm.bench.external import Programs
from zipllm.bench.inputs import BenchInput
from zipllm.bench.process import Coded, Worker, WorkerFailed
from zipllm.bench.protocol import Facts, Spec
from zipllm.bench.result import Row

DEFAULT_TIMEOUT = 24 * 3600.0
Report = Callable[[Spec, BenchInput, str], None]
"""Called when a codec starts on a file in a direction."""


@dataclass(frozen=True)
class RunOptions:
    """How to measure.

    Attributes:
        repeat: times each direction runs.
        timeout: seconds for one direction of one file, all repetitions together.
        threads: given to the codecs; 0 leaves the number to the libraries.
        along: also code the beginnings of each file, for the curve along it.
        programs: external programs by name.
        scratch: folder for temporary files, the codecs' included; None is the system's.
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
    report: Report = lambda spec, item, direction: None,
) -> Iterator[Row]:
    """Measure every codec on every file, codec after codec.

    Args:
        inputs: from ``prepare_inputs``.
        specs: from ``parse_codecs``.
        options: how to measure.
        skip: whether to leave a pair out.
        report: called for progress.

    Yields:
        A row for every pair, as soon as it is measured; failures are rows too.
    """
    for spec in specs:
        with contextlib.closing(_Pair(spec, options)) as pair:
            for item in inputs:
                if not skip(item, spec):
                    yield pair.measure(item, report)


class _Pair:
    """The two workers of one codec: one compresses, the other decompresses."""

    def __init__(self, spec: Spec, options: RunOptions) -> None:
        self._spec, self._options = spec, options
        self._workers: dict[str, Worker] = {}
        self._reused = spec.name in KINDS and KINDS[spec.name].reused

    def measure(self, item: BenchInput, report: Report) -> Row:
        row = Row(
            corpus=item.corpus,
            file=item.file,
            sha256=item.sha256,
            raw_bytes=item.raw_bytes,
            codec=str(self._spec),
            status="error",
            environment=self._options.environment,
        )
        try:
            with tempfile.TemporaryDirectory(dir=self._options.scratch) as folder:
                row = self._measure(item, row, Path(folder), report)
        except WorkerFailed as error:
            row = replace(row, status=error.status, message=str(error))
        if not self._reused:
            self.close()
        return row

    def _measure(self, item: BenchInput, row: Row, folder: Path, report: Report) -> Row:
        archive, back = folder / "archive", folder / "back"
        report(self._spec, item, "compress")
        packed = self._run("compress", item.path, archive)
        facts = self._workers["compress"].facts
        row = replace(
            row,
            level=facts.level,
            model=facts.model,
            model_id=facts.model_id,
            parameters=facts.parameters,
            contaminated=contamination(item, facts.learned_from, facts.learned_names),
        )
        report(self._spec, item, "decompress")
        try:
            unpacked = self._run("decompress", archive, back)
        except WorkerFailed as error:
            return replace(row, status=error.status, message=f"decompressing: {error}")
        if not filecmp.cmp(item.path, back, shallow=False):
            return replace(row, status="mismatch", message=_difference(item.path, back))
        return _verified(row, os.path.getsize(archive), facts, packed, unpacked)

    def _run(self, action: str, source: Path, target: Path) -> Coded:
        options = self._options
        if action not in self._workers:
            self._workers[action] = Worker(
                self._spec, options.programs, options.timeout, options.threads, options.scratch
            )
        along = options.along and action == "compress"
        return self._workers[action].code(action, source, target, repeat=options.repeat, along=along)

    def close(self) -> None:
        for worker in self._workers.values():
            worker.close()
        self._workers.clear()


def _verified(row: Row, size: int, facts: Facts, packed: Coded, unpacked: Coded) -> Row:
    """Put the numbers into the row of an archive of ``size`` bytes that gave the file back."""
    packing, unpacking = packed.measurement, unpacked.measurement
    return replace(
        row,
        status="ok",
        verified=True,
        compressed_bytes=size,
        bits_per_byte=8 * size / row.raw_bytes if row.raw_bytes else None,
        ratio=row.raw_bytes / size if size else None,
        weights_bytes=facts.weights_bytes,
        adjusted_bytes=size + facts.weights_bytes,
        program_bytes=facts.program_bytes,
        total_bytes=size + facts.weights_bytes + facts.program_bytes,
        compress_s=packing.median_s,
        decompress_s=unpacking.median_s,
        peak_rss=max(packing.peak_rss, unpacking.peak_rss),
        peak_vram=max(packing.peak_vram, unpacking.peak_vram),
        compress=packing,
        decompress=unpacking,
        along=packed.along,
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
