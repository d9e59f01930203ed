"""The baselines: most frequent label and linear model."""

import sys

import numpy as np
import pytest

from zipllm.classify.baselines import linear_model, majority_chances, unspaced
from zipllm.errors import MissingPackage, UsageError

ENGLISH = ["the match was won by a goal", "shares fell on the market"]
CHINESE = ["今天的比赛很精彩", "股市今天大跌"]


def test_majority() -> None:
    assert majority_chances(np.array([2, 1, 1, 2]), 2, 4).tolist() == [[0, 1, 0, 0]] * 2


@pytest.mark.parametrize("texts", [ENGLISH, CHINESE], ids=["words", "characters"])
def test_the_linear_model(texts: list[str]) -> None:
    pytest.importorskip("sklearn")
    train = [text.encode() for text in texts] * 3
    label = linear_model(train, np.array([0, 2] * 3), 3, seed=0)
    assert label([texts[0][3:].encode(), texts[1][:9].encode() + b"\xff"]).tolist() == [[1, 0, 0], [0, 0, 1]]


def test_scripts_without_spaces() -> None:
    assert [unspaced([text]) for text in ("words", "时习", "a 时习 b c d e", "カタカナ", "123", "")] == [
        False, True, True, True, False, False,
    ]  # fmt: skip


def test_texts_without_a_word() -> None:
    pytest.importorskip("sklearn")
    with pytest.raises(UsageError, match="nothing to count"):
        linear_model([b"!", b"?"], np.array([0, 1]), 2, seed=0)


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sklearn.feature_extraction.text", None)
    with pytest.raises(MissingPackage, match=r"pip install 'zipllm\[classify\]'"):
        linear_model([b"a", b"b"], np.array([0, 1]), 2, seed=0)
