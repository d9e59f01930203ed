"""What happens inside of one process, for ``speed.py``: seconds by stage, and tokens per second by network shape."""

import importlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from typing import Any
from unittest.mock import patch

import numpy as np
import torch

STAGES = {
    "tokenizer": ["zipllm.tokenizer.bpe:BpeTokenizer.encode_all", "zipllm.tokenizer.bpe:BpeTokenizer.decode"],
    "network": [
        "zipllm.predictor.transformer:TransformerPredictor.prefill",
        "zipllm.predictor.transformer:TransformerPredictor.select",
        "zipllm.predictor.transformer:TransformerPredictor.predict_into",
        "zipllm.predictor.transformer:TransformerPredictor.step",
    ],
    "decisions and coder": [
        "zipllm.codec.block.coders:StaticEncoder.encode",
        "zipllm.codec.block.coders:StaticDecoder.decode",
    ],
    "history and coder": ["zipllm.codec.block.coders:encode_chunk", "zipllm.codec.block.coders:decode_chunk"],
    "memory of the history": ["zipllm.codec.block.coders:new_memory"],
    "sample": ["zipllm.codec.select:model_helps"],
    "history alone": ["zipllm.codec.select:_history"],
    "with the model": ["zipllm.codec.select:_with_model"],
    "conventional codecs": [
        f"zipllm.codec.select:{codec}"
        for codec in ("zstd_quick", "lzma_quick", "bz2_strong", "zstd_strong", "lzma_strong")
    ],
    "verification": ["zipllm.codec.block_encoding:verify_block"],
    "container": ["zipllm.codec.encoder:ArchiveWriter.block", "zipllm.codec.block_encoding:crc32"],
}
"""What is timed, by the place where it is called from."""


class StageClock:
    """Adds up the seconds of each stage, without those of the stages called from it.

    Each thread's own processor seconds count. Seconds on the clock contain waiting, for another thread or for a GPU,
    and threads that run side by side add up to more than what passes.
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


def stages(text: bytes) -> Iterator[dict[str, Any]]:
    """Compress and decompress in this process, and tell where the time went."""
    begin = time.perf_counter()
    import zipllm

    zipllm.compress(text[:40_000])  # loads the model and compiles whatever is not compiled yet
    yield {"what": "import, load, first 40 KB", "raw_bytes": 40_000, "seconds": round(time.perf_counter() - begin, 3)}
    archive = yield from profiled("compress", len(text), lambda: zipllm.compress(text))
    back = yield from profiled("decompress", len(text), lambda: zipllm.decompress(archive))
    assert back == text


def profiled(name: str, size: int, work: Callable[[], bytes]) -> Generator[dict[str, Any], None, bytes]:
    """Do some work and tell how long it took, and the processor seconds of its stages, summed over threads."""
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


def cost(seconds: float, whole: float) -> dict[str, Any]:
    """Return processor seconds and their share of the whole as parts of a row."""
    share = seconds / whole
    return {"processor_seconds": round(seconds, 3), "share": round(share, 4), "note": f"{share:6.1%}"}


SHAPES: dict[str, dict[str, Any]] = {
    "small": {},
    "window 64": {"window": 64},
    "window 1024": {"window": 1024},
    "width 128": {"width": 128, "heads": 4, "feedforward": 512},
    "width 512": {"width": 512, "heads": 16, "feedforward": 2048},
    "3 layers": {"layers": 3},
    "12 layers": {"layers": 12},
    "vocabulary 1024": {"vocabulary_size": 1024},
    "vocabulary 32768": {"vocabulary_size": 32768},
}
LANES, TOKENS = 64, 64 * 128


def shapes(text: bytes) -> Iterator[dict[str, Any]]:
    """Tokens per second of random networks: all at once as in the encoder, and step by step as in the decoder."""
    from dataclasses import replace

    from zipllm.model.presets import preset

    base = preset("small", 8192)
    for name, changes in SHAPES.items():
        config = replace(base, **changes)
        for what, chunk in (("prefill", 16), ("step", 1)):
            seconds, processor = _network_seconds(config, chunk)
            yield {
                "what": f"{what}: {name}",
                "raw_bytes": 0,
                "tokens": TOKENS,
                "lanes": LANES,
                "shape": {key: getattr(config, key) for key in ("width", "layers", "window", "vocabulary_size")},
                "seconds": round(seconds, 3),
                "processor_seconds": round(processor, 3),
                "tokens_per_second": round(TOKENS / seconds),
                "note": f"{TOKENS / seconds:9,.0f} tokens/s",
            }


def _network_seconds(config: Any, chunk: int) -> tuple[float, float]:
    from zipllm.kernels.cpu.network import CpuTransformer
    from zipllm.model.quantize import quantize
    from zipllm.model.transformer import Transformer

    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    calibration = torch.from_numpy(generator.integers(0, config.vocabulary_size, (2, 64)))
    network = CpuTransformer(quantize(Transformer(config), calibration))
    tokens = generator.integers(0, config.vocabulary_size, (LANES, TOKENS // LANES)).astype(np.int32)
    state = network.start(LANES)
    for _ in range(0, config.window, 64):  # the window is full from the beginning
        network.predict(state, tokens[:, :64])
    network.predict(state, tokens[:, :chunk])
    begin = (time.perf_counter(), time.process_time())
    for column in range(0, tokens.shape[1], chunk):
        network.predict(state, tokens[:, column : column + chunk])
    return time.perf_counter() - begin[0], time.process_time() - begin[1]
