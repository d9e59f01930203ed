"""Which engine computes, and that changing it in the middle changes nothing."""

import itertools
import logging
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from tests.kernels.models import random_model
from tests.model.conftest import shaped
from zipllm.errors import ModelInvalid, UsageError
from zipllm.jit.compiled import COMPILES
from zipllm.kernels.cpu.network import CpuNetwork
from zipllm.model.transformer.integer import IntegerTransformer
from zipllm.model_file.card import Card
from zipllm.model_file.file import Model, build_model
from zipllm.predictor import late as late_module
from zipllm.predictor import model as model_predictor
from zipllm.predictor.late import LateNetwork
from zipllm.predictor.model import network_for
from zipllm.predictor.network import ReferenceNetwork
from zipllm.tokenizer.byte import ByteTokenizer

EVERY = np.arange(3, dtype=np.int32)
FIRST = EVERY[:1]

needs_numba = pytest.mark.skipif(not COMPILES, reason="numba is missing or told not to compile")


@pytest.fixture(scope="module")
def model() -> Model:
    config = shaped(vocabulary_size=256)
    return build_model(config, ByteTokenizer(), random_model(config, 5), Card("tiny"))


@pytest.fixture(scope="module")
def tokens() -> NDArray[np.int32]:
    table = np.random.default_rng(0).integers(0, 256, (3, 60), dtype=np.int32)
    table[:, 0] = 256
    return table


@pytest.mark.parametrize("name", ["reference", "cpu"])
def test_the_user_chooses(name: str, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    if name == "cpu" and not COMPILES:
        pytest.skip("numba is missing or told not to compile")
    monkeypatch.setenv(model_predictor.KERNELS, name)
    assert isinstance(network_for(model, "cpu"), {"reference": ReferenceNetwork, "cpu": CpuNetwork}[name])


def test_an_engine_that_does_not_exist(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(model_predictor.KERNELS, "abacus")
    with pytest.raises(UsageError, match="abacus"):
        network_for(model, "cpu")


@pytest.mark.parametrize(
    ("version", "capability", "works"), [("3.6.0", (8, 0), True), ("3.10.0+git1", (9, 0), True),
     ("3.4.0", (9, 0), False), ("3.6.0", (7, 5), False), (None, (9, 0), False)]
)  # fmt: skip
def test_where_the_kernels_of_a_gpu_work(
    version: str | None, capability: tuple[int, int], works: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = None if version is None else SimpleNamespace(__version__=version)
    monkeypatch.setitem(sys.modules, "triton", module)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    assert model_predictor.triton_works("cuda") is works


def test_kernels_of_a_gpu_without_one(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(model_predictor.KERNELS, "cuda")
    with pytest.raises(UsageError, match="capability 8.0"):
        network_for(model, "cpu")


def test_without_numba_the_reference_computes(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_predictor, "COMPILES", False)
    assert isinstance(network_for(model, "cpu"), ReferenceNetwork)
    monkeypatch.setenv(model_predictor.KERNELS, "cpu")
    with pytest.raises(UsageError, match="numba"):
        network_for(model, "cpu")


@needs_numba
@pytest.mark.parametrize("cached", [False, True])
def test_the_reference_goes_first_where_kernels_were_never_compiled(
    cached: bool, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(model_predictor.KERNELS, raising=False)
    monkeypatch.setattr("zipllm.kernels.cpu.network.kernels_are_cached", lambda: cached)
    assert isinstance(network_for(model, "cpu"), CpuNetwork if cached else LateNetwork)


@needs_numba
def test_the_change_to_kernels_in_the_middle_of_streams(
    model: Model, tokens: NDArray[np.int32], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ticks = itertools.count()  # the clock is read twice a call: ten calls by the reference, then the kernels
    monkeypatch.setattr(time, "perf_counter", lambda: float(next(ticks)))
    monkeypatch.setattr(late_module, "PATIENCE", 9.5)
    reference = ReferenceNetwork(model, "cpu")
    wanted = reference.predict(reference.start(3), tokens, EVERY).copy()
    late = LateNetwork(model)
    assert late.name == "nothing yet"
    state, other = late.start(1), late.start(1)
    late.predict(other, tokens[:1, :1], FIRST)
    names = []
    for at in range(0, 60, 4):
        assert np.array_equal(late.predict(state, tokens[:1, at : at + 4], FIRST), wanted[:1, at : at + 4])
        names.append(late.name)
    assert names[0] == "reference on cpu"
    assert names[-1] == "cpu kernels"
    assert [record.message.split(" ")[0] for record in caplog.records] == ["compiling", "kernels"]
    assert np.array_equal(late.predict(other, tokens[:1, 1:], FIRST), wanted[:1, 1:])  # a state from before the change
    assert np.array_equal(late.predict(late.start(3), tokens, EVERY), wanted)
    later = LateNetwork(model)  # by the reference; a copy goes on with it, or with the kernels
    state = later.start(1)
    later.predict(state, tokens[:1, :30], FIRST)
    copied = later.copy(state, 1)
    later.predict(state, tokens[:1, 30:], FIRST)
    assert np.array_equal(late.predict(late.copy(copied, 1), tokens[:1, 30:], FIRST), wanted[:1, 30:])
    assert np.array_equal(later.predict(copied, tokens[:1, 30:], FIRST), wanted[:1, 30:])


@needs_numba
def test_several_lanes_are_worth_compiling_for(
    model: Model, tokens: NDArray[np.int32], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    reference = ReferenceNetwork(model, "cpu")
    late = LateNetwork(model)
    state = late.start(3)
    assert (late.name, late.concurrent, len(caplog.records)) == ("cpu kernels", True, 2)
    assert np.array_equal(late.predict(state, tokens, EVERY), reference.predict(reference.start(3), tokens, EVERY))
    assert np.array_equal(
        late.predict(late.start(1), tokens[:1], FIRST), late.predict(late.start(2), tokens[:2], EVERY[:2])[:1]
    )


@needs_numba
def test_kernels_that_compute_something_else_are_refused(
    model: Model, tokens: NDArray[np.int32], monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = Model(model.config, model.tokenizer, model.integer, model.card, model.self_test, b"x" * 32)
    predict = CpuNetwork.predict
    monkeypatch.setattr(CpuNetwork, "predict", lambda *arguments, **options: predict(*arguments, **options) + 1)
    with pytest.raises(ModelInvalid, match="cpu kernels"):
        LateNetwork(wrong).start(3)
    late = LateNetwork(model)
    state = late.start(1)
    late.predict(state, tokens[:1, :9], FIRST)
    monkeypatch.setattr(late_module, "PATIENCE", -1.0)
    late._model = wrong
    with pytest.raises(ModelInvalid, match="cpu kernels"):
        late.predict(state, tokens[:1, 9:], FIRST)


@pytest.mark.parametrize(
    ("raised", "told"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 9.00 GiB."), MemoryError),
        (RuntimeError("CUDA error: out of memory"), MemoryError),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), MemoryError),
        (RuntimeError("CUDA error: an illegal memory access was encountered"), RuntimeError),
    ],
)
def test_no_memory_left_is_told_in_pythons_words(
    raised: Exception, told: type[Exception], model: Model, tokens: NDArray[np.int32], monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> None:
        raise raised

    network = ReferenceNetwork(model, "cpu")
    state = network.start(3)
    monkeypatch.setattr(IntegerTransformer, "start", exhausted)
    monkeypatch.setattr(IntegerTransformer, "forward", exhausted)
    for call in (lambda: network.start(3), lambda: network.predict(state, tokens, EVERY)):
        with pytest.raises(told) as caught:
            call()
        assert type(caught.value) is told
        assert str(caught.value) == str(raised)
