"""Tokenizers of open models: impossible descriptions are refused, and what a pattern splits stays apart."""

import base64
from typing import Any

import pytest

from zipllm.tokenizer import ByteLevelTokenizer, PiecesTokenizer, tokenizer_from_dict
from zipllm.tokenizer.merges import MAX_MERGES, pack
from zipllm.tokenizer.patterns import PATTERNS
from zipllm.tokenizer.text import CHUNK, TextTokenizer, text_chunks

A, B, BLANK = 97, 98, 32


def described(**changes: Any) -> dict[str, Any]:
    """A good description of the byte level with members replaced."""
    return ByteLevelTokenizer([(A, B), (BLANK, 256)], "gpt2").to_dict() | changes


def pieces(**changes: Any) -> dict[str, Any]:
    """A good description of pieces with members replaced."""
    return PiecesTokenizer([(A, B), (BLANK, A)], "é").to_dict() | changes


def characters(text: bytes) -> str:
    return base64.b64encode(text).decode()


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        ({"type": "byte-level"}, "exactly the fields"),
        ({"type": ["byte-level"]}, "unknown tokenizer type"),
        (described(extra=1), "exactly the fields"),
        (described(pattern="(a+)+$"), "unknown pattern"),
        (described(pattern=["gpt2"]), "not a text"),
        (described(whole_words=1), "true or false"),
        (described(merges=7), "base64 string"),
        (described(merges="%"), "base64"),
        (described(merges=pack([1])), "pairs"),
        (described(merges="A" * (MAX_MERGES * 12)), "more than"),
        (described(merges=pack([(300, A)])), "does not exist yet"),
        (described(merges=pack([(A, A), *((i, i) for i in range(256, 264))])), "longer than 256"),
        (described(ranks=pack([0])), "one for each"),
        (described(ranks=pack([0, 0])), "one for each"),
        (described(ranks=pack([1, 2])), "one for each"),
        (described(ranks="AAA="), "32-bit"),
        ({"type": "pieces"}, "exactly the fields"),
        (pieces(characters=7), "base64 string"),
        (pieces(characters="%"), "base64"),
        (pieces(characters=characters(b"\xff")), "UTF-8"),
        (pieces(characters=characters(b"a")), "ASCII"),
        (pieces(characters=characters("éé".encode())), "ascending"),
        (pieces(characters="A" * (1 << 21)), "mebibyte"),
        (pieces(merges=pack([(200, A)])), "not a character"),
        (pieces(merges=pack([(300, A)])), "does not exist yet"),
    ],
)
def test_impossible_descriptions_are_refused(description: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        tokenizer_from_dict(description)


def test_a_piece_that_is_written_like_a_byte_is_refused() -> None:
    text = b"<0x80>"
    merges = [(text[0], text[1]), *((256 + index, byte) for index, byte in enumerate(text[2:]))]
    with pytest.raises(ValueError, match="like a byte"):
        PiecesTokenizer(merges, "")


def test_too_many_tokens_are_refused() -> None:
    pairs = [(left, right) for left in range(256) for right in range(256)]
    merges = pairs + [(256 + pair, byte) for pair in range(1 << 16) for byte in range(3)]
    with pytest.raises(ValueError, match="larger than 262144"):
        ByteLevelTokenizer(merges, "gpt2")


def test_ids_past_16_bits_come_back() -> None:
    merges = [(left, right) for left in range(256) for right in range(256)] + [(65_791, 65_790)]
    tokenizer = ByteLevelTokenizer(merges, "gpt2")
    assert len(tokenizer.vocabulary) == 256 + 65_536 + 1
    assert tokenizer_from_dict(tokenizer.to_dict()).vocabulary == tokenizer.vocabulary


def test_ranks_decide_which_merge_comes_first() -> None:
    merges = [(A, B), (B, B)]
    tokens = {ranks: ByteLevelTokenizer(merges, "gpt2", ranks=ranks) for ranks in ((), (1, 0))}
    shown = {ranks: [one.vocabulary[id_] for id_ in one.encode(b"abb")] for ranks, one in tokens.items()}
    assert shown == {(): [b"ab", b"b"], (1, 0): [b"a", b"bb"]}


def test_a_whole_word_stays_whole() -> None:
    merges = [(A, B), (B, A), (A, 257)]  # "aba" is made of "a" and "ba", but "ab" comes first
    parts, whole = (ByteLevelTokenizer(merges, "gpt2", whole_words=whole) for whole in (False, True))
    assert [parts.vocabulary[id_] for id_ in parts.encode(b"aba")] == [b"ab", b"a"]
    assert [whole.vocabulary[id_] for id_ in whole.encode(b"aba")] == [b"aba"]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_data_past_a_chunk_come_back(pattern: str) -> None:
    tokenizer = ByteLevelTokenizer([(A, B), (BLANK, 256)], pattern)
    for data in (b"a" * 200_001, b" " * 200_001, b"\n \n" * 50_000, "学".encode() * 50_000, b"\xff\x80" * 40_000):
        assert tokenizer.decode(tokenizer.encode(data).tolist()) == data


def test_chunks_end_between_words_and_characters() -> None:
    for data in (b"some words " * 20_000, "学而，".encode() * 20_000, "学".encode() * 50_000, b"\x80" * 200_000):
        chunks = list(text_chunks(data, TextTokenizer.cut))
        assert b"".join(chunks) == data
        assert max(map(len, chunks)) <= CHUNK
    assert all(chunk.decode() for chunk in text_chunks("学".encode() * 50_000, TextTokenizer.cut))
    assert all(chunk.startswith(b" ") for chunk in list(text_chunks(b"some words " * 20_000, TextTokenizer.cut))[1:])


def test_together_is_as_each_alone() -> None:
    for tokenizer in (ByteLevelTokenizer([(A, B)], "smollm"), PiecesTokenizer([(A, B)], "é")):
        data = [b"", b"ab ab", b"\xff\x00" * 9, "é学".encode(), b"words \n" * 20_000, b""]
        together = tokenizer.encode_all(data)
        assert [ids.tolist() for ids in together] == [tokenizer.encode(piece).tolist() for piece in data]
        assert tokenizer.encode_all([]) == []
