"""The reference engine on a GPU gives the CPU's integers, so archives cross over both ways."""

import numpy as np
import pytest
import torch

import zipllm
from zipllm.codec.engine import engine_from_model
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


def test_archives_cross_both_ways(model: Model) -> None:
    engines = [engine_from_model(model, device) for device in ("cpu", "cuda")]
    archives = [zipllm.compress(TEXT, model=engine) for engine in engines]
    assert archives[0] == archives[1]
    for engine in engines:
        assert zipllm.decompress(archives[0], model=engine) == TEXT
