"""Foreign tokenizers give the ids of the original on text, and are lossless on everything else."""

import copy
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tests.foreign.original_tokenizers import (
    GGUF_NAMES,
    SAMPLES,
    SPECIAL,
    byte_level,
    gguf_fields,
    plain_ids,
    words_of_pieces,
)
from tests.huggingface.learned_tokenizers import byte_fallback, metaspace, unigram, word_piece
from zipllm.errors import ModelInvalid
from zipllm.foreign.tokenizers import ForeignTokenizer, gguf_tokenizer, json_tokenizer
from zipllm.tokenizer import tokenizer_from_dict
from zipllm.tokenizer.base import check_vocabulary

HARD = [
    bytes(range(256)),
    b"\xff\xfe text \xc3\x28\xf0\x9f more \xed\xa0\x80",
    "学而时习之".encode("gb18030"),
    "<|endoftext|><|im_start|> <0x41> ▁ <s></s><unk>".encode(),
    b" " * 999,
    "学".encode()[:2],
    b"",
]


def from_json(original: Tokenizer) -> ForeignTokenizer:
    return json_tokenizer(json.loads(original.to_str()))


def ids(foreign: ForeignTokenizer, text: str) -> list[int]:
    found: list[int] = foreign.rows[foreign.tokenizer.encode(text.encode())].tolist()
    return found


def check_lossless(foreign: ForeignTokenizer, data: bytes) -> None:
    assert foreign.tokenizer.decode(foreign.tokenizer.encode(data).tolist()) == data


def made(name: str) -> Tokenizer:
    if name in ("pieces", "words"):
        return byte_fallback() if name == "pieces" else words_of_pieces()
    return byte_level(name, every_split=name in ("llama3", "tekken"))


@pytest.fixture(scope="module", params=["gpt2", "smollm", "llama3", "qwen2", "tekken", "pieces", "words"])
def pair(request: pytest.FixtureRequest) -> tuple[Tokenizer, ForeignTokenizer, str]:
    name = request.param
    original = made(name)
    return original, from_json(original), name


def test_ids_are_those_of_the_original(pair: tuple[Tokenizer, ForeignTokenizer, str]) -> None:
    original, foreign, _ = pair
    for text in SAMPLES:
        assert ids(foreign, text) == plain_ids(original, text)


def test_both_forms_give_the_same(pair: tuple[Tokenizer, ForeignTokenizer, str]) -> None:
    original, foreign, name = pair
    of_gguf = gguf_tokenizer(gguf_fields(original, GGUF_NAMES.get(name, "")))
    assert of_gguf.tokenizer.vocabulary == foreign.tokenizer.vocabulary
    assert of_gguf.rows.tolist() == foreign.rows.tolist()
    for text in SAMPLES:
        assert ids(of_gguf, text) == ids(foreign, text)


@pytest.mark.parametrize("name", ["gpt2", "smollm", "llama3", "tekken", "words"])
def test_long_text_is_cut_between_words(name: str) -> None:
    original = made(name)
    text = "".join(SAMPLES[:3]) * 600
    assert ids(from_json(original), text) == plain_ids(original, text)


@pytest.mark.parametrize("data", HARD, ids=range(len(HARD)))
def test_hard_bytes_come_back(pair: tuple[Tokenizer, ForeignTokenizer, str], data: bytes) -> None:
    check_lossless(pair[1], data)


@given(data=st.binary(max_size=200))
def test_any_bytes_come_back(pair: tuple[Tokenizer, ForeignTokenizer, str], data: bytes) -> None:
    check_lossless(pair[1], data)


@given(text=st.text(max_size=100))
def test_any_text_has_the_ids_of_the_original(pair: tuple[Tokenizer, ForeignTokenizer, str], text: str) -> None:
    original, foreign, name = pair
    check_lossless(foreign, text.encode())
    if name not in ("pieces", "words") or "▁" not in text:
        assert ids(foreign, text) == plain_ids(original, text)


def test_all_of_unicode_comes_back(pair: tuple[Tokenizer, ForeignTokenizer, str]) -> None:
    for begin in range(0, 0x110000, 0x8000):
        points = (point for point in range(begin, begin + 0x8000) if not 0xD800 <= point < 0xE000)
        check_lossless(pair[1], "".join(map(chr, points)).encode())


def test_a_description_restores_the_tokenizer(pair: tuple[Tokenizer, ForeignTokenizer, str]) -> None:
    tokenizer = pair[1].tokenizer
    description = json.loads(json.dumps(tokenizer.to_dict()))
    again = tokenizer_from_dict(description)
    assert again.vocabulary == tokenizer.vocabulary
    assert again.to_dict() == description
    for text in SAMPLES:
        assert again.encode(text.encode()).tolist() == tokenizer.encode(text.encode()).tolist()


def test_vocabulary_is_sorted_without_special_tokens(pair: tuple[Tokenizer, ForeignTokenizer, str]) -> None:
    vocabulary = pair[1].tokenizer.vocabulary
    check_vocabulary(vocabulary)
    assert not {word.encode() for word in (*SPECIAL, "<s>", "</s>", "<unk>")} & set(vocabulary)


def test_merges_before_their_parts_keep_their_ranks() -> None:
    original = byte_level("llama3", every_split=True)
    description = json.loads(original.to_str())
    model = description["model"]
    model["merges"] = model["merges"][::-1]
    model["ignore_merges"] = False
    reverse = Tokenizer.from_str(json.dumps(description))
    foreign = json_tokenizer(description)
    assert foreign.tokenizer.to_dict()["ranks"]
    for text in SAMPLES:
        assert ids(foreign, text) == plain_ids(reverse, text)


def test_a_byte_without_a_token_has_the_row_of_a_mark_between_texts() -> None:
    original = byte_level("smollm", lacking=4)
    foreign = from_json(original)
    lost = [foreign.tokenizer.vocabulary.index(bytes([value])) for value in range(256)]
    letters = json.loads(original.to_str())["model"]["vocab"]
    absent = 256 - sum(len(word) == 1 for word in letters)
    assert absent == 4
    assert np.count_nonzero(foreign.rows[lost] == letters["<|endoftext|>"]) == absent
    check_lossless(foreign, bytes(range(256)))


def test_an_ordinary_character_wins_over_its_byte() -> None:
    original = byte_fallback()
    words = json.loads(original.to_str())["model"]["vocab"]
    foreign = from_json(original)
    assert foreign.rows[foreign.tokenizer.vocabulary.index(b"t")] == words["t"]
    assert foreign.rows[foreign.tokenizer.vocabulary.index(b"\x01")] == words["<0x01>"]
    assert foreign.rows[foreign.tokenizer.vocabulary.index(b" ")] == words["▁"]


def test_pieces_that_reach_from_word_to_word() -> None:
    original = byte_fallback()
    description = json.loads(original.to_str())
    vocabulary = description["model"]["vocab"]
    vocabulary["e▁"] = len(vocabulary)
    description["model"]["merges"].insert(0, ["e", "▁"])
    changed = Tokenizer.from_str(json.dumps(description))
    foreign = json_tokenizer(description)
    assert b"e " in foreign.tokenizer.vocabulary
    for text in SAMPLES:
        assert ids(foreign, text) == plain_ids(changed, text)


def test_starts_are_distinct_rows_with_the_given_first() -> None:
    foreign = from_json(byte_level())
    assert foreign.starts(400, 1, [2, 1], None, 500, -1, True) == (1, 2, 0)
    assert ForeignTokenizer(foreign.tokenizer, foreign.rows, {}).starts(400) == (foreign.named["Ċ"],)


def _changed(**members: Any) -> Any:
    """Description of a good tokenizer with members of its model or itself replaced."""
    description = copy.deepcopy(json.loads(byte_level().to_str()))
    for name, value in members.items():
        (description["model"] if name in description["model"] else description)[name] = value
    return description


BAD = {
    "no object": ([], "not as"),
    "no model": ({}, "not as"),
    "unigram": (json.loads(unigram().to_str()), "Unigram"),
    "word piece": (json.loads(word_piece().to_str()), "WordPiece"),
    "blanks split": (json.loads(metaspace().to_str()), "does not know"),
    "unknown split": (_changed(pre_tokenizer={"type": "Whitespace"}), "does not know.*Whitespace"),
    "no split": (_changed(pre_tokenizer=None), "does not know"),
    "own regex": (
        _changed(
            pre_tokenizer={
                "type": "Split",
                "pattern": {"Regex": "(a+)+$"},
                "behavior": "Isolated",
                "invert": False,
            }
        ),
        r"\(a\+\)\+",
    ),
    "merge of no tokens": (_changed(merges=[["q", "zzz"]]), "not all its tokens"),
    "merge of one": (_changed(merges=[["q"]]), "no pair"),
    "merge of numbers": (_changed(merges=[[1, 2]]), "no pair"),
    "merges no list": (_changed(merges=7), "not as"),
    "negative id": (_changed(vocab={"a": -1}), "impossible id"),
    "id of text": (_changed(vocab={"a": "b"}), "impossible id"),
    "suffix": (_changed(end_of_word_suffix="</w>"), "end_of_word_suffix"),
    "not of bytes": (_changed(vocab={"学": 0, "习": 1, "学习": 2}, merges=[["学", "习"]]), "not made of bytes"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_descriptions_are_refused_in_a_line(case: str) -> None:
    description, reason = BAD[case]
    with pytest.raises(ModelInvalid, match=reason) as caught:
        json_tokenizer(description)
    assert len(str(caught.value).splitlines()) == 1


def _fields(**changes: Any) -> dict[str, Any]:
    fields = gguf_fields(byte_level(), "smollm")
    return fields | {f"tokenizer.ggml.{name}": value for name, value in changes.items()}


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, "tokenizer.ggml.tokens"),
        (_fields(tokens=[1, 2]), "list of texts"),
        (_fields(model="bert"), "'bert'"),
        (_fields(pre="falcon"), "'falcon'"),
        (_fields(merges=["ab"]), "no pair"),
        (_fields(merges=["q zzz"]), "not all its tokens"),
        (_fields(model="llama"), "scores"),
        (_fields(model="llama", scores=[0.0]), "scores"),
        (_fields(model="llama", scores=[float("nan")] * 500), "scores"),
    ],
)
def test_bad_fields_are_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelInvalid, match=reason):
        gguf_tokenizer(fields)
