"""Named network shapes for ``zipllm train --preset``; the vocabulary size comes from the tokenizer."""

from typing import Any

from zipllm.model.config import ModelConfig

PRESETS: dict[str, dict[str, Any]] = {
    "nano": {"width": 96, "layers": 3, "heads": 3, "feedforward": 384, "window": 128},
    "tiny": {"width": 160, "layers": 4, "heads": 4, "feedforward": 640, "window": 192},
    "small": {"width": 256, "layers": 6, "heads": 4, "feedforward": 1024, "window": 256},
    "base": {"width": 384, "layers": 8, "heads": 6, "feedforward": 1536, "window": 384},
}
"""Parameters inside the blocks: nano 0.3 M, tiny 1.2 M, small 4.7 M (the shipped default), base 14 M.

With 8192 tokens the embeddings add 1.6, 2.6, 4.2 and 6.3 M; a model file has about one byte per parameter.
"""


def preset(name: str, vocabulary_size: int) -> ModelConfig:
    """Return the shape called ``name``. Raises ``ValueError`` that lists the names when there is none."""
    if name not in PRESETS:
        raise ValueError(f"unknown preset {name!r} (known: {', '.join(PRESETS)})")
    return ModelConfig(vocabulary_size, **PRESETS[name])
