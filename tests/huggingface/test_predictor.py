"""A Hugging Face model keeps the promises of a predictor on one machine, and says what the library says."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.huggingface.fixtures import folders
from tests.predictor import contract
from zipllm.engine.engine import Engine, huggingface_engine
from zipllm.errors import ModelInvalid
from zipllm.huggingface.folder import Loaded, find_folder, load_folder, tokenizer_text
from zipllm.huggingface.predictor import HuggingFacePredictor
from zipllm.huggingface.tokenizer import HuggingFaceTokenizer

LENGTH = 40  # more than the context of 32

EVERY = np.arange(2, dtype=np.int32)


@pytest.fixture(scope="module", params=["gpt2", "llama"])
def engine(request: pytest.FixtureRequest) -> Engine:
    return huggingface_engine(f"hf:{request.getfixturevalue(request.param)}")


@pytest.fixture(scope="module")
def predictor(engine: Engine) -> HuggingFacePredictor:
    assert isinstance(engine.predictor, HuggingFacePredictor)
    return engine.predictor


@pytest.fixture(scope="module")
def small(gpt2: Path) -> HuggingFacePredictor:
    predictor = huggingface_engine(f"hf:{gpt2}").predictor
    assert isinstance(predictor, HuggingFacePredictor)
    return predictor


def load(folder: Path) -> tuple[Loaded, HuggingFaceTokenizer]:
    loaded = load_folder(find_folder(f"hf:{folder}"), "cpu")
    return loaded, HuggingFaceTokenizer(tokenizer_text(loaded), loaded.rows)


def test_vocabulary(predictor: HuggingFacePredictor) -> None:
    assert list(predictor.vocabulary) == sorted(set(predictor.vocabulary))
    assert predictor.start_token == len(predictor.vocabulary)
    assert predictor.lane_bytes > 0


def test_frequencies(predictor: HuggingFacePredictor) -> None:
    tokens = contract.random_tokens(predictor, 2, LENGTH)
    contract.check_frequencies(predictor, contract.by_steps(predictor, tokens))


@pytest.mark.parametrize("lengths", [[LENGTH], [1, 39], [31, 2, 7]])
def test_chunks(predictor: HuggingFacePredictor, lengths: list[int]) -> None:
    contract.check_chunks(predictor, contract.random_tokens(predictor, 2, LENGTH), lengths)


def test_subsets(small: HuggingFacePredictor) -> None:
    contract.check_subsets(small, contract.random_tokens(small, 3, LENGTH))


def test_causality(predictor: HuggingFacePredictor) -> None:
    contract.check_causality(predictor, contract.random_tokens(predictor, 1, LENGTH))


def test_states_are_apart(predictor: HuggingFacePredictor) -> None:
    contract.check_states_are_apart(predictor, contract.random_tokens(predictor, 2, LENGTH))


def test_measuring_says_nearly_the_same(predictor: HuggingFacePredictor) -> None:
    """Passes are faster; their floats differ in the last digits."""
    tokens = contract.random_tokens(predictor, 2, 3 * LENGTH)
    fast = predictor.measuring()
    steps = np.diff(predictor.predict(predictor.start(2), tokens, EVERY[:2])).astype(float)
    passes = np.diff(fast.predict(fast.start(2), tokens, EVERY[:2])).astype(float)
    assert np.abs(np.log2(steps) - np.log2(passes))[steps > 1000].max() < 1e-2


@pytest.mark.parametrize(("name", "context"), [("Mistral", 64), ("Bloom", 2048), ("Mamba", 2048)])
def test_other_kinds(name: str, context: int, tmp_path: Path) -> None:
    predictor = HuggingFacePredictor(*load(folders().save_other(tmp_path / name, name)))
    assert predictor.context == context
    tokens = contract.random_tokens(predictor, 1, 80)
    contract.check_chunks(predictor, tokens, [30, 50])
    fast = predictor.measuring()
    assert fast.stepwise == (name == "Mamba")
    steps = np.diff(predictor.predict(predictor.start(1), tokens, EVERY[:1])).astype(float)
    passes = np.diff(fast.predict(fast.start(1), tokens, EVERY[:1])).astype(float)
    assert np.abs(np.log2(steps) - np.log2(passes))[steps > 1000].max() < 1e-2


def test_probabilities_are_the_library_s(gpt2: Path) -> None:
    """Of all ids that stand for bytes, in proportion; up to the rounding to integers."""
    import torch

    loaded, tokenizer = load(gpt2)
    predictor = HuggingFacePredictor(loaded, tokenizer)
    tokens = contract.random_tokens(predictor, 1, 20)
    ids = np.append(tokenizer.model_ids, 0)[tokens]  # 0 is the end of a text, with which this model begins
    with torch.inference_mode():
        said = loaded.network(input_ids=torch.from_numpy(ids)).logits[0].double().softmax(-1).numpy()
    kept = said[:, tokenizer.model_ids]
    expected = kept / kept.sum(-1, keepdims=True)
    found = np.diff(predictor.predict(predictor.start(1), tokens, EVERY[:1])[0]) / 2**24
    assert np.abs(found - expected).max() < 1e-4
    assert predictor.left_out_share() == pytest.approx(1 - kept.sum(-1).mean(), abs=1e-4)
    assert predictor.left_out_share() == 0.0


def test_two_ids_of_one_token_count_together(llama: Path) -> None:
    import torch

    loaded, tokenizer = load(llama)
    predictor = HuggingFacePredictor(loaded, tokenizer)
    assert len(tokenizer.doubles)
    start = np.array([[predictor.start_token]], dtype=np.int32)
    found = np.diff(predictor.predict(predictor.start(1), start, EVERY[:1])[0, 0]) / 2**24
    with torch.inference_mode():
        said = loaded.network(input_ids=torch.tensor([[1]])).logits[0, 0].double().softmax(-1).numpy()
    shares = said[tokenizer.model_ids]
    for token, id_ in tokenizer.doubles.tolist():
        shares[token] += said[id_]
    assert np.abs(found - shares / shares.sum()).max() < 1e-4


def test_a_full_context_begins_anew_with_its_last_half(small: HuggingFacePredictor) -> None:
    """The prediction behind a new beginning depends on the last half, and on nothing before it."""
    context, kept = small.context, small.kept
    assert (context, kept) == (32, 16)
    tokens = contract.random_tokens(small, 2, context + 1)
    tokens[1, -kept - 1 :] = tokens[0, -kept - 1 :]
    first, second = small.predict(small.start(2), tokens, EVERY[:2])
    assert np.array_equal(first[-1], second[-1])
    assert not np.array_equal(first[-2], second[-2])
    tokens[1, -kept - 1] += 1
    assert not np.array_equal(small.predict(small.start(2), tokens, EVERY[:2])[1, -1], first[-1])


def test_lane_bytes_bound_what_is_kept(small: HuggingFacePredictor) -> None:
    state: Any = small.start(1)
    small.predict(state, contract.random_tokens(small, 1, 100), EVERY[:1])
    kept = sum(layer.keys.nbytes + layer.values.nbytes for layer in state[0].cache.layers)
    assert kept <= small.lane_bytes == 32 * 2 * 2 * 32 * 4  # context, layers, keys and values, width, bytes


def test_a_model_that_sees_what_follows_is_refused(tmp_path: Path) -> None:
    from transformers import BertLMHeadModel

    folder = folders().save_bert(tmp_path / "bert", BertLMHeadModel, is_decoder=True, vocab_size=400)
    folders().change_config(folder, is_decoder=False)
    loaded = load_folder(find_folder(f"hf:{folder}"), "cpu")
    with pytest.raises(ModelInvalid, match="those that follow it: it is no left-to-right model"):
        HuggingFacePredictor(loaded, HuggingFaceTokenizer(folders().byte_level().to_str(), loaded.rows))


def test_numbers_that_are_not_finite_are_refused(gpt2: Path) -> None:
    import torch

    loaded, tokenizer = load(gpt2)
    with torch.no_grad():
        loaded.network.transformer.wte.weight[5, 5] = torch.nan
    with pytest.raises(ModelInvalid, match="not finite"):
        HuggingFacePredictor(loaded, tokenizer)
