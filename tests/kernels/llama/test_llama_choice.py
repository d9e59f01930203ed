"""Which engine computes a Llama."""

import numpy as np
import pytest

from tests.kernels.llama.random_llamas import every, expected, random_model, random_tokens, shaped
from zipllm.errors import UsageError
from zipllm.jit.compiled import COMPILES
from zipllm.model_file.card import Card
from zipllm.model_file.file import Model, build_model
from zipllm.predictor import late as late_module
from zipllm.predictor import model as model_predictor
from zipllm.predictor.late import LateNetwork
from zipllm.predictor.model import lane_bytes, network_for
from zipllm.predictor.network import ReferenceNetwork
from zipllm.tokenizer.byte import ByteTokenizer

needs_numba = pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")


CONFIG = shaped(vocabulary_size=256)


@pytest.fixture(scope="module")
def model() -> Model:
    return build_model(CONFIG, ByteTokenizer(), random_model(CONFIG, 5), Card("tiny"))


@needs_numba
def test_its_own_kernels(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    from zipllm.kernels.llama.layout import lane_bytes as announced
    from zipllm.kernels.llama.network import CpuNetwork

    monkeypatch.setenv(model_predictor.KERNELS, "cpu")
    assert isinstance(network_for(model, "cpu"), CpuNetwork)
    assert lane_bytes(model.config) == announced(CONFIG)


def test_there_are_none_for_a_gpu(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(model_predictor.KERNELS, "cuda")
    with pytest.raises(UsageError, match="no kernels of a GPU for llama"):
        network_for(model, "cuda")
    monkeypatch.delenv(model_predictor.KERNELS)
    monkeypatch.setattr(model_predictor, "ReferenceNetwork", lambda model, device: ReferenceNetwork(model, "cpu"))
    assert isinstance(network_for(model, "cuda"), ReferenceNetwork)


@needs_numba
def test_the_change_to_kernels_in_the_middle_of_a_stream(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    tokens = random_tokens(CONFIG, lanes=1, time=60, seed=0)
    wanted, late = expected(random_model(CONFIG, 5), tokens), LateNetwork(model)
    state, names = late.start(1), []
    for at in range(0, 60, 4):
        if at == 32:
            monkeypatch.setattr(late_module, "PATIENCE", -1.0)
        assert np.array_equal(late.predict(state, tokens[:, at : at + 4], every(tokens)), wanted[:, at : at + 4])
        names.append(late.name)
    assert (names[0], names[-1]) == ("reference on cpu", "cpu kernels")
