"""Counts of characters and words do not depend on how the bytes are cut into chunks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zipllm.data.text import TextCounter, TextCounts


def count(*pieces: bytes) -> TextCounts:
    counter = TextCounter()
    for piece in pieces:
        counter.update(piece)
    return counter.finish()


@pytest.mark.parametrize(
    ("data", "characters", "words", "valid"),
    [
        (b"", 0, 0, True),
        (b"  \n\t", 4, 0, True),
        (b"to be, or not", 13, 4, True),
        ("学而时习之 不亦说乎".encode(), 10, 2, True),
        ("caf\u00e9\u00a0noir".encode(), 9, 2, True),
        (b"caf\xe9 noir", 9, 2, False),
        ("学".encode()[:2], 2, 1, False),
        ("学".encode()[1:], 2, 1, False),
        (b"\xed\xa0\x80", 3, 1, False),
        (b"\xff\xfe\x00", 3, 1, False),
    ],
)
def test_known_counts(data: bytes, characters: int, words: int, valid: bool) -> None:
    assert count(data) == TextCounts(characters, words, valid)


@given(st.lists(st.one_of(st.binary(max_size=8), st.text(alphabet="a \n\u00e9\u5b66\U0001f600", max_size=8))))
def test_pieces_do_not_matter(parts: list[bytes | str]) -> None:
    pieces = [part.encode() if isinstance(part, str) else part for part in parts]
    text = b"".join(pieces).decode("utf-8", "surrogateescape")
    bytewise = [bytes([value]) for value in b"".join(pieces)]
    valid = not any("\udc80" <= character <= "\udcff" for character in text)
    assert count(*pieces) == count(*bytewise) == TextCounts(len(text), len(text.split()), valid)


def test_pieces_larger_than_what_is_decoded_at_once() -> None:
    text = "ab é学 " * 500_000
    assert count(text.encode()) == TextCounts(len(text), 1_000_000, True)
