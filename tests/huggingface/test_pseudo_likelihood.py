"""What a masked model makes of a text, against the definition computed token by token."""

import math
from pathlib import Path

import pytest

from tests.huggingface.fixtures import folders
from zipllm.errors import ModelInvalid
from zipllm.huggingface import pseudo_likelihood as module
from zipllm.huggingface.folder import Loaded, find_folder, load_folder
from zipllm.huggingface.pseudo_likelihood import pseudo_likelihood

TEXT = b"To be, or not to be: that is the question."


@pytest.fixture(scope="module")
def loaded(bert: Path) -> Loaded:
    return load_folder(find_folder(f"hf:{bert}"), "cpu")


def bits(loaded: Loaded, ids: list[int], place: int, wanted: int) -> float:
    """Of one token, the model asked by itself, without padding."""
    import torch

    with torch.inference_mode():
        scores = loaded.network(input_ids=torch.tensor([ids])).logits[0, place].double()
    return -float(scores.log_softmax(-1)[wanted]) / math.log(2)


def test_against_the_definition(loaded: Loaded) -> None:
    """Windows of 12 tokens: 16 places, less two for safety and two for the ends."""
    tokenizer = loaded.tokenizer
    front, behind, mask = [tokenizer.cls_token_id], [tokenizer.sep_token_id], [tokenizer.mask_token_id]
    ids = tokenizer(TEXT.decode(), add_special_tokens=False)["input_ids"]
    assert len(ids) == 12 + 1
    pseudo = forward = 0.0
    for window in (ids[:12], ids[12:]):
        for place, token in enumerate(window):
            before, after = window[:place], window[place + 1 :]
            pseudo += bits(loaded, front + before + mask + after + behind, place + 1, token)
            forward += bits(loaded, front + before + mask + behind, place + 1, token)
    found = pseudo_likelihood(loaded, TEXT)
    assert found.pseudo_bits == pytest.approx(pseudo, rel=1e-5)
    assert found.forward_bits == pytest.approx(forward, rel=1e-5)
    assert (found.tokens, found.windows, found.raw_bytes) == (13, 2, len(TEXT))
    assert found.unknown == ids.count(tokenizer.unk_token_id) == 1  # the full stop


def test_batches_change_nothing(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = pseudo_likelihood(loaded, TEXT)
    monkeypatch.setattr(module, "_SCORE_BYTES", 1)
    alone = pseudo_likelihood(loaded, TEXT)
    assert alone.pseudo_bits == pytest.approx(whole.pseudo_bits, rel=1e-5)
    assert alone.forward_bits == pytest.approx(whole.forward_bits, rel=1e-5)


def test_forward_does_not_look_ahead(loaded: Loaded) -> None:
    """Other tokens behind change what those before cost from both sides, and not what they cost going forward."""
    ids = loaded.tokenizer("to be or not that is", add_special_tokens=False)["input_ids"]
    ((both, before),) = module._window_bits(loaded, ids)
    ((both_changed, before_changed),) = module._window_bits(loaded, [*ids[:4], *ids[4:][::-1]])
    assert before_changed[:4] == pytest.approx(before[:4], rel=1e-5)
    assert all(abs(one - other) > 1e-3 for one, other in zip(both[:4], both_changed[:4], strict=True))


def test_progress(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SCORE_BYTES", 1)
    steps: list[float] = []
    pseudo_likelihood(loaded, TEXT, steps.append)
    assert steps == sorted(steps)
    assert len(steps) == 13
    assert steps[-1] == 1.0


def test_nothing(loaded: Loaded) -> None:
    found = pseudo_likelihood(loaded, b"")
    assert (found.tokens, found.pseudo_bits, found.forward_bits) == (0, 0.0, 0.0)


def test_without_a_mask(tmp_path: Path) -> None:
    loaded = load_folder(find_folder(f"hf:{folders().save_bert(tmp_path)}"), "cpu")
    loaded.tokenizer.mask_token = None
    with pytest.raises(ModelInvalid, match="has no mask"):
        pseudo_likelihood(loaded, TEXT)


def test_numbers_that_are_not_finite(tmp_path: Path) -> None:
    import torch

    loaded = load_folder(find_folder(f"hf:{folders().save_bert(tmp_path)}"), "cpu")
    with torch.no_grad():
        loaded.network.bert.embeddings.word_embeddings.weight[6, 0] = torch.inf
    with pytest.raises(ModelInvalid, match="not finite"):
        pseudo_likelihood(loaded, TEXT)
