"""Where the time goes within one process, stage by stage."""

import importlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

from benchmarks.speed.row import Row, Settings, timed

STAGES = {
    "tokenizer": ["zipllm.tokenizer.bpe:BpeTokenizer.encode_all", "zipllm.tokenizer.bpe:BpeTokenizer.decode"],
    "network": ["zipllm.kernels.cpu.network:CpuNetwork._run"],
    "decisions and coder": [
        "zipllm.codec.block.coding:StaticEncoder.encode",
        "zipllm.codec.block.coding:StaticDecoder.decode",
    ],
    "history and coder": ["zipllm.codec.block.coding:encode_chunk", "zipllm.codec.block.coding:decode_chunk"],
    "memory of the history": ["zipllm.codec.block.setup:new_memory"],
    "sample": ["zipllm.codec.choose:model_helps"],
    "history alone": ["zipllm.codec.choose:_history"],
    "with the model": ["zipllm.codec.choose:_with_model"],
    "conventional codecs": [
        f"zipllm.codec.block.conventional_block:{codec}" for codec in ("_zstd", "_lzma", "bz2.compress")
    ],
    "verification": ["zipllm.codec.block_encoding:verify_block"],
    "container": ["zipllm.codec.encoder:ArchiveWriter.block", "zipllm.codec.block_encoding:crc32"],
}
"""Stages, and the functions that are timed for each, patched where they are looked up."""


class StageClock:
    """Adds up the seconds of each stage, without those of the stages that it calls.

    Processor seconds are those of the calling thread. Wall seconds include waiting for another thread or a GPU, and
    those of parallel threads add up to more than the time that passes.
    """

    def __init__(self) -> None:
        self.wall: dict[str, float] = defaultdict(float)
        self.processor: dict[str, float] = defaultdict(float)
        self.calls: dict[str, int] = defaultdict(int)
        self._stack = threading.local()

    def timed(self, stage: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            stack = self._stack.__dict__.setdefault("stages", [])
            stack.append([0.0, 0.0])
            begin = (time.perf_counter(), time.thread_time())
            try:
                return function(*arguments, **options)
            finally:
                spent = (time.perf_counter() - begin[0], time.thread_time() - begin[1])
                inner = stack.pop()
                self.wall[stage] += spent[0] - inner[0]
                self.processor[stage] += spent[1] - inner[1]
                self.calls[stage] += 1
                if stack:
                    stack[-1][0] += spent[0]
                    stack[-1][1] += spent[1]

        return call


def stages(settings: Settings) -> Iterator[Row]:
    """Compress and decompress in this process, and say where the time went."""
    import zipllm

    text = settings.text
    _, seconds = timed(lambda: zipllm.compress(text[:40_000]))  # loads the model and compiles what is not compiled yet
    yield {"what": "load, first 40 KB", "raw_bytes": 40_000, "seconds": round(seconds, 3)}
    archive = yield from profiled("compress", len(text), lambda: zipllm.compress(text))
    back = yield from profiled("decompress", len(text), lambda: zipllm.decompress(archive))
    assert back == text


def profiled(name: str, size: int, work: Callable[[], bytes]) -> Generator[Row, None, bytes]:
    """Do some work; yield its time and the processor seconds of its stages, summed over threads; return its result."""
    clock = StageClock()
    with ExitStack() as patches:
        for stage, targets in STAGES.items():
            for target in targets:
                module, _, path = target.partition(":")
                owner: Any = importlib.import_module(module)
                *outer, attribute = path.split(".")
                for part in outer:
                    owner = getattr(owner, part)
                patches.enter_context(patch.object(owner, attribute, clock.timed(stage, getattr(owner, attribute))))
        begin = (time.perf_counter(), time.process_time())
        result = work()
    wall, processor = time.perf_counter() - begin[0], time.process_time() - begin[1]
    yield {"what": f"{name}: whole", "raw_bytes": size, "seconds": round(wall, 3)} | cost(processor, processor)
    clock.processor["the rest"] = processor - sum(clock.processor.values())
    for stage, seconds in sorted(clock.processor.items(), key=lambda item: -item[1]):
        what = {"what": f"{name}: {stage}", "raw_bytes": size, "calls": clock.calls[stage]}
        what |= {"seconds": round(clock.wall[stage], 3)} if stage in clock.wall else {}
        yield what | cost(seconds, processor)
    return result


def cost(seconds: float, whole: float) -> Row:
    """Return processor seconds and their share of the whole, as parts of a row."""
    share = seconds / whole
    return {"processor_seconds": round(seconds, 3), "share": round(share, 4), "note": f"{share:6.1%}"}
