"""Tokens per second of random networks: 16 tokens of each lane at once as in the encoder, and one as in the decoder."""

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.speed.row import Row, Settings
from zipllm.kernels.cpu.network import CpuNetwork
from zipllm.machine import threads
from zipllm.model.transformer.config import PRESETS, TransformerConfig
from zipllm.model.transformer.float_form import Transformer
from zipllm.model.transformer.quantize import quantize

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


def shapes(settings: Settings) -> Iterator[Row]:
    base = TransformerConfig(8192, **PRESETS["small"])
    for name, changes in SHAPES.items():
        config = replace(base, **changes)
        for what, chunk in (("prefill", 16), ("step", 1)):
            seconds, processor = network_seconds(config, chunk)
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


def network_seconds(config: TransformerConfig, chunk: int) -> tuple[float, float]:
    """Return wall and processor seconds of ``TOKENS`` tokens, ``chunk`` of each lane a call, the window full."""
    torch.manual_seed(0)
    generator = np.random.default_rng(0)
    calibration = torch.from_numpy(generator.integers(0, config.vocabulary_size, (2, 64)))
    network = CpuNetwork(quantize(Transformer(config), calibration))
    tokens = generator.integers(0, config.vocabulary_size, (LANES, TOKENS // LANES)).astype(np.int32)
    state, lanes = network.start(LANES), np.arange(LANES, dtype=np.int32)
    for _ in range(0, config.window, 64):  # fill the window
        network.predict(state, tokens[:, :64], lanes, threads=threads())
    network.predict(state, tokens[:, :chunk], lanes, threads=threads())
    begin = (time.perf_counter(), time.process_time())
    for column in range(0, tokens.shape[1], chunk):
        network.predict(state, tokens[:, column : column + chunk], lanes, threads=threads())
    return time.perf_counter() - begin[0], time.process_time() - begin[1]
