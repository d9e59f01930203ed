"""What computes on a GPU gives the CPU's integers, so archives cross over both ways."""

import numpy as np
import pytest
import torch

import zipllm
from tests.kernels.test_equality import SHAPES, expected, random_model, random_tokens
from tests.model.conftest import extreme_model, shaped
from zipllm.codec.engine import engine_from_model
from zipllm.model.config import ModelConfig
from zipllm.model.file import Model
from zipllm.model.integer import IntegerTransformer
from zipllm.model.store import ModelStore

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device here"),
]

TEXT = ("Prediction is compression. 预测就是压缩。 def f(x):\n    return x + 1\n" * 200).encode()


@pytest.fixture(scope="module")
def model() -> Model:
    return ModelStore.default().load("small")


def test_frequencies_are_those_of_the_cpu(model: Model) -> None:
    tokens = torch.from_numpy(model.tokenizer.encode(TEXT)[:768].reshape(3, 256))
    rows = []
    for device, chunk in (("cpu", 256), ("cuda", 256), ("cuda", 100), ("cuda", 1)):
        network = IntegerTransformer(model.integer, device)
        state = network.start(3)
        parts = [network.cumulative(network.forward(state, part)).cpu().numpy() for part in tokens.split(chunk, dim=1)]
        rows.append(np.concatenate(parts, axis=1))
    for row in rows[1:]:
        assert np.array_equal(rows[0], row)


@pytest.mark.parametrize("config", [*SHAPES, shaped(width=128, heads=1, window=20, layers=1)], ids=str)
def test_kernels_equal_the_reference(config: ModelConfig) -> None:
    from zipllm.kernels.cuda import CudaTransformer

    for integer in (random_model(config, 1), extreme_model(config)):
        tokens = random_tokens(config, lanes=3, time=70, seed=2)
        wanted = expected(integer, tokens)
        network = CudaTransformer(integer)
        for chunk in (1, 7, 70):  # single steps are captured as a graph after the first few
            state = network.start(3)
            pieces = [tokens[:, begin : begin + chunk] for begin in range(0, 70, chunk)]
            result = np.concatenate([network.predict(state, piece).copy() for piece in pieces], axis=1)
            assert np.array_equal(result, wanted)


@pytest.mark.parametrize("lanes", [1, 2, 17, 64, 300])
def test_kernels_for_any_number_of_lanes_that_end_one_by_one(lanes: int) -> None:
    from zipllm.kernels.cuda import CudaTransformer

    integer, config = random_model(shaped(window=9), 3), shaped(window=9)
    tokens = random_tokens(config, lanes, time=40, seed=lanes)
    wanted = expected(integer, tokens)
    network = CudaTransformer(integer)
    state = network.start(lanes)
    lengths = 40 - np.arange(lanes) % 20
    for time in range(40):
        running = np.flatnonzero(lengths > time).astype(np.int32)
        result = network.predict(state, tokens[running, time : time + 1], running)
        assert np.array_equal(result, wanted[running, time : time + 1])


@pytest.mark.parametrize("kernels", ["reference", "auto"])
def test_archives_cross_both_ways(model: Model, kernels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZIPLLM_KERNELS", "" if kernels == "auto" else kernels)
    engines = [engine_from_model(model, device) for device in ("cpu", "cuda")]
    archives = [zipllm.compress(TEXT, model=engine) for engine in engines]
    assert archives[0] == archives[1]
    for engine in engines:
        assert zipllm.decompress(archives[0], model=engine) == TEXT
