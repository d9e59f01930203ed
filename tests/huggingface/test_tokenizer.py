"""Tokenizers of Hugging Face models give every byte string back."""

import json
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models

from tests.huggingface.learned_tokenizers import END, TEXTS, byte_fallback, byte_level, metaspace, unigram, word_piece
from zipllm.huggingface.tokenizer import HuggingFaceTokenizer

MAKERS: dict[str, Callable[[], Tokenizer]] = {
    "byte level": byte_level,
    "byte fallback": byte_fallback,
    "metaspace": metaspace,
    "unigram": unigram,
}
HARD = [
    b"",
    b"\xff\xfe\x80",
    b"a\xe5\xad",  # half of a character
    "e\u0301 \u00e9 ▁ <0x41> <s></s><unk>".encode(),  # two normal forms, what stands for a blank, names of tokens
    f"{END} [UNK] \r\n\t  ".encode(),
    bytes(range(256)) * 3,
    ("▁" * 100 + " " * 100).encode(),
]


@pytest.fixture(scope="module", params=MAKERS)
def tokenizer(request: pytest.FixtureRequest) -> HuggingFaceTokenizer:
    return foreign(MAKERS[request.param]())


def foreign(tokenizer: Tokenizer, rows: int | None = None) -> HuggingFaceTokenizer:
    return HuggingFaceTokenizer(tokenizer.to_str(), tokenizer.get_vocab_size() if rows is None else rows)


def texts_of(tokenizer: HuggingFaceTokenizer, text: str) -> list[bytes]:
    return [tokenizer.vocabulary[token] for token in tokenizer.encode(text.encode()).tolist()]


def test_vocabulary(tokenizer: HuggingFaceTokenizer) -> None:
    assert list(tokenizer.vocabulary) == sorted(set(tokenizer.vocabulary))
    assert {bytes([value]) for value in range(256)} <= set(tokenizer.vocabulary)
    assert tokenizer.model_ids.shape == (len(tokenizer.vocabulary),)
    ids = [*tokenizer.model_ids.tolist(), *tokenizer.doubles[:, 1].tolist()]
    assert len(set(ids)) == len(ids)


@pytest.mark.parametrize("data", HARD, ids=repr)
def test_hard_bytes_come_back(tokenizer: HuggingFaceTokenizer, data: bytes) -> None:
    ids = tokenizer.encode(data)
    assert ids.dtype == np.int32
    assert tokenizer.decode(ids.tolist()) == data


@given(st.one_of(st.binary(max_size=200), st.text(max_size=100).map(lambda text: text.encode("utf-8", "replace"))))
@pytest.mark.parametrize("name", MAKERS)
def test_any_bytes_come_back(name: str, data: bytes) -> None:
    tokenizer = KEPT.setdefault(name, foreign(MAKERS[name]()))
    assert tokenizer.decode(tokenizer.encode(data).tolist()) == data


KEPT: dict[str, HuggingFaceTokenizer] = {}


@pytest.mark.parametrize("make", [byte_level, byte_fallback])
def test_text_gets_the_tokens_of_the_library(make: Callable[[], Tokenizer]) -> None:
    """Behind the beginning, where the library would put a blank."""
    library, tokenizer = make(), foreign(make())
    text = TEXTS[0] + TEXTS[1]
    theirs = library.encode(text, add_special_tokens=False).ids
    ours = tokenizer.model_ids[tokenizer.encode(text.encode())].tolist()
    assert ours[8:] == theirs[len(theirs) - len(ours) + 8 :]
    assert len(ours) < len(text.encode()) / 2


def test_one_bad_byte_does_not_spoil_the_rest() -> None:
    tokenizer = foreign(byte_level())
    text = (TEXTS[0] * 40).encode()
    whole, broken = tokenizer.encode(text), tokenizer.encode(text[:1000] + b"\xff" + text[1000:])
    assert len(broken) < len(whole) + 20


def test_special_tokens_are_no_bytes() -> None:
    tokenizer = foreign(byte_level(), rows=400)
    assert END.encode() not in tokenizer.vocabulary
    assert 0 not in tokenizer.model_ids
    assert tokenizer.left_out == 400 - len(tokenizer.vocabulary) - len(tokenizer.doubles)


def test_added_tokens_that_are_text_are_kept() -> None:
    library = byte_level()
    library.add_tokens([AddedToken("question", special=False, normalized=False)])
    assert b"question" in foreign(library).vocabulary
    assert b"question" in texts_of(foreign(library), "a question:")


def test_ids_that_the_model_does_not_predict_are_left_out() -> None:
    library = byte_level()
    tokenizer = foreign(library, rows=300)
    assert tokenizer.model_ids.max() < 300
    assert tokenizer.left_out == 1
    assert b"".join(texts_of(tokenizer, TEXTS[1])) == TEXTS[1].encode()


def test_a_byte_that_is_also_a_piece_of_text() -> None:
    """The model has learned from the piece, so the piece is fed; the probability of both counts."""
    tokenizer = foreign(byte_fallback())
    rank = tokenizer.vocabulary.index(b"t")
    description = json.loads(byte_fallback().to_str())["model"]["vocab"]
    assert tokenizer.model_ids[rank] == description["t"]
    assert [rank, description["<0x74>"]] in tokenizer.doubles.tolist()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "cannot be read"),
        ("[]", "cannot be read"),
        (word_piece().to_str(), "pieces of text"),
        (Tokenizer(models.BPE({"a": 0}, [], byte_fallback=True)).to_str(), "255 of the 256 bytes"),
    ],
)
def test_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        HuggingFaceTokenizer(text, 1000)
