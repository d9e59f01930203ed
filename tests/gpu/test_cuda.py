"""What computes on a GPU gives the CPU's integers, so archives cross over both ways."""

import io
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch

import zipllm
from tests.kernels.models import SHAPES, every, expected, random_model, random_tokens
from tests.model.conftest import extreme_model, shaped
from zipllm.codec.decoder import DecodeOptions, decompress_stream
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.engine.engine import engine_from_model
from zipllm.model.architecture import architecture_of
from zipllm.model.transformer.config import TransformerConfig
from zipllm.model_file.file import Model
from zipllm.model_file.store import ModelStore

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
        network = architecture_of(model.config).reference(model.integer, device)
        state, lanes = network.start(3), np.arange(3, dtype=np.int32)
        parts = [network.predict(state, part.int().numpy(), lanes) for part in tokens.split(chunk, dim=1)]
        rows.append(np.concatenate(parts, axis=1))
    for row in rows[1:]:
        assert np.array_equal(rows[0], row)


@pytest.mark.parametrize("config", [*SHAPES, shaped(width=128, heads=1, window=20, layers=1)], ids=str)
def test_kernels_equal_the_reference(config: TransformerConfig) -> None:
    from zipllm.kernels.gpu.network import GpuNetwork

    for integer in (random_model(config, 1), extreme_model(config)):
        tokens = random_tokens(config, lanes=3, time=70, seed=2)
        wanted = expected(integer, tokens)
        network = GpuNetwork(integer)
        for chunk in (1, 7, 70):  # single steps are captured as a graph after the first few
            state = network.start(3)
            pieces = [tokens[:, begin : begin + chunk] for begin in range(0, 70, chunk)]
            result = np.concatenate([network.predict(state, piece, every(piece)).copy() for piece in pieces], axis=1)
            assert np.array_equal(result, wanted)


@pytest.mark.parametrize("lanes", [1, 2, 17, 64, 300])
def test_kernels_for_any_number_of_lanes_that_end_one_by_one(lanes: int) -> None:
    from zipllm.kernels.gpu.network import GpuNetwork

    integer, config = random_model(shaped(window=9), 3), shaped(window=9)
    tokens = random_tokens(config, lanes, time=40, seed=lanes)
    wanted = expected(integer, tokens)
    network = GpuNetwork(integer)
    state = network.start(lanes)
    lengths = 40 - np.arange(lanes) % 20
    for time in range(40):
        running = np.flatnonzero(lengths > time).astype(np.int32)
        result = network.predict(state, tokens[running, time : time + 1], running)
        assert np.array_equal(result, wanted[running, time : time + 1])


def test_single_steps_by_the_kernel_of_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a window is too large for the kernel of single steps."""
    from zipllm.kernels.gpu import forward as gpu_forward
    from zipllm.kernels.gpu.network import GpuNetwork

    monkeypatch.setattr(gpu_forward, "MAX_TILE", 0)
    integer, config = random_model(shaped(window=9), 3), shaped(window=9)
    tokens = random_tokens(config, lanes=2, time=20, seed=4)
    network = GpuNetwork(integer)
    state = network.start(2)
    steps = [network.predict(state, tokens[:, time : time + 1], every(tokens)).copy() for time in range(20)]
    assert np.array_equal(np.concatenate(steps, axis=1), expected(integer, tokens))


def test_frequencies_some_columns_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where a vocabulary is too large for a row in registers."""
    from zipllm.kernels.gpu import forward as gpu_forward
    from zipllm.kernels.gpu.network import GpuNetwork

    monkeypatch.setattr(gpu_forward, "WHOLE_ROW", 0)
    config = shaped(layers=1, vocabulary_size=2100)  # longer than what is worked on at once
    for integer in (random_model(config, 3), extreme_model(config)):
        tokens = random_tokens(config, lanes=2, time=20, seed=4)
        network = GpuNetwork(integer)
        assert np.array_equal(network.predict(network.start(2), tokens, every(tokens)), expected(integer, tokens))


def test_columns_are_those_of_whole_predictions_in_used_memory_too() -> None:
    from zipllm.kernels.gpu.network import GpuNetwork

    integer, config = random_model(shaped(window=9), 3), shaped(window=9)
    random = np.random.default_rng(5)
    columns = random.integers(0, config.vocabulary_size + 1, (11, 4), dtype=np.int32)
    columns.setflags(write=False)
    network = GpuNetwork(integer)
    for seed in range(3):  # each state but the first has the memory, and the graphs, of the one before
        tokens = random_tokens(config, lanes=5, time=40, seed=seed)
        wanted = random.integers(0, 11, tokens.shape, dtype=np.int32)
        right = np.take_along_axis(expected(integer, tokens), columns[wanted], axis=2)
        state = network.start(5)
        for begin, end in [(0, 15), *((step, step + 1) for step in range(15, 40))]:
            selection = (columns, wanted[:, begin:end])
            result = network.predict(state, tokens[:, begin:end], every(tokens), selection=selection)
            assert np.array_equal(result, right[:, begin:end])
        del state


def test_threads_share_a_model() -> None:
    from zipllm.kernels.gpu.network import GpuNetwork

    integer, config = random_model(shaped(window=9), 3), shaped(window=9)
    network = GpuNetwork(integer)

    def stepped(seed: int) -> bool:
        tokens = random_tokens(config, lanes=4, time=60, seed=seed)
        state = network.start(4)
        steps = [network.predict(state, tokens[:, time : time + 1], every(tokens)).copy() for time in range(60)]
        return np.array_equal(np.concatenate(steps, axis=1), expected(integer, tokens))

    with ThreadPoolExecutor(6) as pool:
        assert all(pool.map(stepped, range(12)))


def test_blocks_share_a_gpu(model: Model) -> None:
    engine = engine_from_model(model, "cuda")
    options = EncodeOptions(block_size=4096, lanes=2, fallback=False, workers=5)
    packed, back = io.BytesIO(), io.BytesIO()
    compress_stream(io.BytesIO(TEXT * 2), packed, engine=engine, options=options)
    cpu = io.BytesIO()
    compress_stream(io.BytesIO(TEXT * 2), cpu, engine=engine_from_model(model), options=replace(options, workers=1))
    assert packed.getvalue() == cpu.getvalue()
    decompress_stream(io.BytesIO(packed.getvalue()), back, options=DecodeOptions(engines=lambda _: engine, workers=5))
    assert back.getvalue() == TEXT * 2


def test_blocks_with_samples_and_history_share_a_gpu(model: Model) -> None:
    """States end while other threads capture graphs, as page-locked memory does, and the lanes of all of them grow."""
    engine = engine_from_model(model, "cuda")
    text = b"".join(b"%d: %s" % (number * number, TEXT[number % 97 : number % 89 + 60]) for number in range(6000))
    for history_bits in (None, 18):
        options = EncodeOptions(block_size=40_000, lanes=64, workers=8, history_bits=history_bits)
        packed, back = io.BytesIO(), io.BytesIO()
        compress_stream(io.BytesIO(text), packed, engine=engine, options=options)
        decompress_stream(
            io.BytesIO(packed.getvalue()), back, options=DecodeOptions(engines=lambda _: engine, workers=8)
        )
        assert back.getvalue() == text


@pytest.mark.parametrize("kernels", ["reference", "auto"])
def test_archives_cross_both_ways(model: Model, kernels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZIPLLM_KERNELS", "" if kernels == "auto" else kernels)
    engines = [engine_from_model(model, device) for device in ("cpu", "cuda")]
    archives = [zipllm.compress(TEXT, model=engine) for engine in engines]
    assert archives[0] == archives[1]
    for engine in engines:
        assert zipllm.decompress(archives[0], model=engine) == TEXT
