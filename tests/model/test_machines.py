"""Other processors and devices: the same integers."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.model.conftest import CONFIG, extreme_model, markov_tokens, randomized, shaped
from tests.model.llama_models import extreme_llama
from zipllm.model.llama.integer import IntegerLlama
from zipllm.model.llama.parameters import LlamaParameters
from zipllm.model.transformer.config import TransformerConfig
from zipllm.model.transformer.integer import IntegerTransformer
from zipllm.model.transformer.quantize import quantize

TOKENS = markov_tokens(2, 30, seed=16)
ROOT = Path(__file__).parents[2]
SCRIPT = "import tests.model.test_machines as t; print(t.checksum(), t.llama_checksum())"


@cache
def checksum() -> int:
    """A number that depends on every cumulative frequency of a model with the largest sums there are."""
    integer = IntegerTransformer(extreme_model())
    cumulative = integer.cumulative(integer.forward(integer.start(2), TOKENS)).long().flatten()
    return int((cumulative * torch.arange(1, len(cumulative) + 1)).sum())


@cache
def llama_checksum(device: str = "cpu") -> int:
    """The same of Llamas: with the largest sums there are, and two windows."""
    cumulative = np.concatenate([_llama(model, device).ravel() for model in (extreme_llama(), extreme_llama(window=7))])
    return int((cumulative.astype(np.int64) * np.arange(1, len(cumulative) + 1)).sum())


def _llama(model: LlamaParameters, device: str) -> NDArray[np.int32]:
    integer = IntegerLlama(model, device)
    return integer.predict(integer.start(2), TOKENS.numpy().astype(np.int32), np.arange(2, dtype=np.int32))


@pytest.mark.parametrize(
    "variable",
    [
        "ONEDNN_MAX_CPU_ISA=AVX2",
        pytest.param("ONEDNN_MAX_CPU_ISA=AVX512_CORE", marks=pytest.mark.slow),
        pytest.param("ONEDNN_MAX_CPU_ISA=SSE41", marks=pytest.mark.slow),
        pytest.param("ATEN_CPU_CAPABILITY=default", marks=pytest.mark.slow),
        pytest.param("MKL_CBWR=COMPATIBLE", marks=pytest.mark.slow),
    ],
)
def test_older_processors_give_the_same_integers(variable: str) -> None:
    """Without VNNI torch._int_mm saturates; the engine must notice and take another way."""
    name, value = variable.split("=")
    environment = os.environ | {name: value, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    assert [int(number) for number in done.stdout.split()] == [checksum(), llama_checksum()]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("config", [CONFIG, shaped(feedforward=64, vocabulary_size=64)], ids=["odd", "multiples of 8"])
@pytest.mark.parametrize("chunk", [1, 9, 30])
def test_a_gpu_gives_the_same_integers(config: TransformerConfig, chunk: int) -> None:
    for model in (extreme_model(config), quantize(randomized(config, seed=8), TOKENS)):
        results = []
        for device in ("cpu", "cuda"):
            integer = IntegerTransformer(model, device)
            state = integer.start(2)
            hidden = [integer.forward(state, part) for part in torch.split(TOKENS, chunk, dim=1)]
            results.append(integer.cumulative(torch.cat(hidden, dim=1)).cpu())
        assert torch.equal(results[0], results[1])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_a_gpu_gives_the_same_integers_of_a_llama() -> None:
    assert llama_checksum("cuda") == llama_checksum()
