"""A tiny model from a seed, and ways to tamper with its file."""

import hashlib
import json
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from zipllm.model.parameters import IntegerArray
from zipllm.model.ranges import NORM_SHIFT
from zipllm.model.transformer.config import TransformerConfig
from zipllm.model.transformer.parameters import TransformerParameters
from zipllm.model_file.card import Card, DataSource, DomainResult
from zipllm.model_file.file import Model, build_model, model_to_bytes
from zipllm.tokenizer import ByteTokenizer

CONFIG = TransformerConfig(vocabulary_size=256, width=16, layers=2, heads=2, feedforward=32, window=8)

CARD = Card(
    name="tiny",
    summary="Random weights for tests.",
    licence="Apache-2.0",
    sources=(DataSource("none", "CC0-1.0", 0, "made from a seed"),),
    steps=1,
    tokens=2,
    seconds=3,
    machine="any",
    results=(DomainResult("noise", 100, 8.0, 8.01),),
    limits=("It knows nothing.",),
)


def random_integer_model(config: TransformerConfig = CONFIG, seed: int = 0) -> TransformerParameters:
    """Weights from a hash, the same everywhere, with multipliers that keep every stage in range."""
    halving = np.array([1 << 24 >> step for step in range(25)] + [0], dtype=np.int32)
    arrays: dict[str, IntegerArray] = {}
    for name, (dtype, shape) in config.specification().items():
        if dtype == "int8":
            noise = hashlib.shake_128(f"{seed} {name}".encode()).digest(math.prod(shape))
            arrays[name] = np.frombuffer(noise, dtype=dtype).reshape(shape).clip(min=-127)
        elif name == "frequency_exponential":
            arrays[name] = halving
        elif name == "attention_exponential":
            arrays[name] = halving[10:]
        elif name == "position_bias":
            arrays[name] = np.broadcast_to(-(np.arange(config.window, dtype=dtype) // 2), shape)
        elif name.endswith("_norm"):
            arrays[name] = np.full(shape, 90 << NORM_SHIFT, dtype=dtype)
        elif name == "mixing_scale":
            arrays[name] = np.full(shape, 1 << NORM_SHIFT, dtype=dtype)
        else:
            value = {"_multiplier": 5, "_shift": 9}[name[name.rindex("_") :]]
            arrays[name] = np.full(shape, value, dtype=dtype)
    return TransformerParameters.from_arrays(config, arrays)


@pytest.fixture(scope="session")
def model() -> Model:
    return build_model(CONFIG, ByteTokenizer(), random_integer_model(), CARD)


@pytest.fixture(scope="session")
def good(model: Model) -> bytes:
    return model_to_bytes(model)


@pytest.fixture
def other_model() -> Model:
    return build_model(CONFIG, ByteTokenizer(), random_integer_model(seed=1), CARD)


def split(file: bytes) -> tuple[dict[str, Any], bytes]:
    """A file's header as a dict, and its data section."""
    length = 8 + int.from_bytes(file[:8], "little")
    return json.loads(file[8:length]), file[length:]


def join(header: dict[str, Any], data: bytes) -> bytes:
    raw = json.dumps(header).encode()
    return len(raw).to_bytes(8, "little") + raw + data


Edit = Callable[[dict[str, Any], dict[str, Any]], object]


@pytest.fixture(scope="session")
def forge(good: bytes) -> Callable[..., bytes]:
    """Make a file with an edited header: ``edit(header, metadata)`` changes both in place."""

    def make(edit: Edit, change_data: Callable[[bytes], bytes] = bytes) -> bytes:
        header, data = split(good)
        metadata = json.loads(header["__metadata__"]["zipllm"])
        edit(header, metadata)
        header["__metadata__"]["zipllm"] = json.dumps(metadata)
        return join(header, change_data(data))

    return make
