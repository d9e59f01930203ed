"""Every tokenizer gives back every byte string, and refuses descriptions that could not."""

import base64
import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipllm.tokenizer import BpeTokenizer, ByteTokenizer, Tokenizer, tokenizer_from_dict, train_bpe
from zipllm.tokenizer.base import check_vocabulary

TEXT = (
    "The quick brown fox jumps over the lazy dog. [[Category:Animals]] &lt;ref&gt; 1984, 2001\n"
    "def main(argument: int) -> None:\n        return argument + 1\n"
    "学而时习之，不亦说乎？有朋自远方来，不亦乐乎？人不知而不愠，不亦君子乎？\n"
    "Über den Wolken muss die Freiheit wohl grenzenlos sein. カタカナ ひらがな 한국어\n"
).encode() * 40

HARD = [
    b"",
    b"\x00",
    bytes(range(256)),
    bytes(range(255, -1, -1)),
    "学而时习之".encode("gb18030"),
    "学而时习之".encode("utf-16"),
    b"\xed\xa0\x80\xed\xb0\x80",  # surrogates in UTF-8
    b"\xff\xfe\xfd" * 7,
    b"\xe5\xad",  # a Chinese character cut short
    b"\xef\xbb\xbfbyte order mark",
    b"line\r\nline\r\n\r\n",
    "é".encode() + "e\u0301".encode(),
    "🎉🇩🇪👩‍👩‍👧".encode(),
    b" " * 999,
    b"\x85\xa0\x1c\x1d\x1e\x1f",  # blanks to Unicode, not to us
    b"a" * 200_001,
]


@pytest.fixture(scope="module")
def bpe() -> BpeTokenizer:
    return train_bpe([TEXT], 600)


@pytest.fixture(params=["byte", "bpe"])
def tokenizer(request: pytest.FixtureRequest, bpe: BpeTokenizer) -> Tokenizer:
    return bpe if request.param == "bpe" else ByteTokenizer()


def check(tokenizer: Tokenizer, data: bytes) -> None:
    ids = tokenizer.encode(data)
    assert ids.dtype == np.int32
    assert tokenizer.decode(ids.tolist()) == data


@pytest.mark.parametrize("data", HARD, ids=range(len(HARD)))
def test_hard_bytes_come_back(tokenizer: Tokenizer, data: bytes) -> None:
    check(tokenizer, data)


def test_text_comes_back_and_is_shorter_in_tokens(bpe: BpeTokenizer) -> None:
    check(bpe, TEXT)
    assert len(bpe.encode(TEXT)) < len(TEXT) / 2


def test_chinese_costs_well_under_one_token_per_byte(bpe: BpeTokenizer) -> None:
    data = "不亦说乎？有朋自远方来，不亦乐乎？".encode()
    assert len(bpe.encode(data)) < 0.5 * len(data)


@given(data=st.binary(max_size=300))
def test_any_bytes_come_back(bpe: BpeTokenizer, data: bytes) -> None:
    check(bpe, data)


@given(text=st.text(max_size=100))
def test_any_text_comes_back(bpe: BpeTokenizer, text: str) -> None:
    check(bpe, text.encode("utf-8", "surrogatepass"))


def test_pieces_together_are_what_each_is_alone(tokenizer: Tokenizer) -> None:
    pieces = [b"", b"one piece", b"\xff\x00" * 9, "两块".encode() * 3, b"a line of words\n" * 9000, b""]
    together = tokenizer.encode_all(pieces)
    assert [ids.tolist() for ids in together] == [tokenizer.encode(piece).tolist() for piece in pieces]
    assert {ids.dtype for ids in together} == {np.dtype(np.int32)}
    assert tokenizer.encode_all([]) == []


@pytest.mark.parametrize("count", ["1", "2"])
def test_a_library_without_threads_gives_the_same(
    bpe: BpeTokenizer, count: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It panics where it cannot start them; with one thread to use it is asked for no others."""
    data = [b"some text " * 30, b"more"]
    wanted = [ids.tolist() for ids in bpe.encode_all(data)]
    library = bpe._library

    class Panicking:
        encode = library.encode

        def encode_batch_fast(self, texts: list[str], **options: bool) -> None:
            assert count == "2"
            raise type("PanicException", (BaseException,), {})

    monkeypatch.setenv("OMP_NUM_THREADS", count)
    monkeypatch.setattr(bpe, "_library", Panicking())
    monkeypatch.setattr(bpe, "_alone", False)
    for _ in range(2):
        assert [ids.tolist() for ids in bpe.encode_all(data)] == wanted


def test_every_pair_of_bytes_comes_back(bpe: BpeTokenizer) -> None:
    check(bpe, bytes(itertools.chain.from_iterable((a, b) for a in range(256) for b in range(0, 256, 3))))


def test_vocabulary_is_sorted_and_total(tokenizer: Tokenizer) -> None:
    check_vocabulary(tokenizer.vocabulary)
    assert list(tokenizer.vocabulary) == sorted(set(tokenizer.vocabulary))


def test_description_restores_an_equal_tokenizer(tokenizer: Tokenizer) -> None:
    again = tokenizer_from_dict(tokenizer.to_dict())
    assert again.vocabulary == tokenizer.vocabulary
    assert again.encode(TEXT).tolist() == tokenizer.encode(TEXT).tolist()


def test_training_twice_gives_the_same_vocabulary(bpe: BpeTokenizer) -> None:
    assert train_bpe([TEXT], 600).vocabulary == bpe.vocabulary


def test_no_data_gives_bytes_only() -> None:
    assert train_bpe([], 300).vocabulary == ByteTokenizer.vocabulary


@pytest.mark.parametrize("size", [255, 0, -1, 65_537])
def test_impossible_vocabulary_sizes_are_refused(size: int) -> None:
    with pytest.raises(ValueError, match="256 to 65536"):
        train_bpe([TEXT], size)


def merges(*pairs: tuple[int, int]) -> str:
    return base64.b64encode(np.array(pairs, dtype="<u2").tobytes()).decode()


@pytest.mark.parametrize(
    ("description", "reason"),
    [
        (None, "not an object"),
        ({}, "unknown tokenizer type"),
        ({"type": "word"}, "unknown tokenizer type"),
        ({"type": "byte", "extra": 1}, "no parameters"),
        ({"type": "bpe"}, "exactly the fields"),
        ({"type": "bpe", "pattern": "(a+)+$", "merges": ""}, "unknown bpe pattern"),
        ({"type": "bpe", "pattern": "utf8-words-1", "merges": 7}, "base64 string"),
        ({"type": "bpe", "pattern": "utf8-words-1", "merges": "%%%"}, "base64"),
        ({"type": "bpe", "pattern": "utf8-words-1", "merges": "AAAA"}, "pairs"),
        ({"type": "bpe", "pattern": "utf8-words-1", "merges": merges((256, 97))}, "does not exist yet"),
        (
            {"type": "bpe", "pattern": "utf8-words-1", "merges": merges((97, 97), *((i, i) for i in range(256, 264)))},
            "longer than 256",
        ),
    ],
)
def test_impossible_descriptions_are_refused(description: object, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        tokenizer_from_dict(description)


def test_vocabularies_that_lose_bytes_are_refused() -> None:
    singles = [bytes([value]) for value in range(256)]
    for vocabulary in (singles[:-1], singles[::-1], [b"", *singles], [*singles, singles[-1]]):
        with pytest.raises(ValueError, match=r"ascending|empty|256 single"):
            check_vocabulary(vocabulary)
