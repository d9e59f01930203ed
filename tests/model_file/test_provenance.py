"""Digests of training files in the card: all of them where they fit, and always a card that can be written."""

import hashlib
from dataclasses import replace

import pytest

from zipllm.model_file.canonical_json import dump_json
from zipllm.model_file.card import Card, DataSource
from zipllm.model_file.limits import MAX_CARD_BYTES
from zipllm.model_file.provenance import MAX_DIGESTS, listed_digests, lists_all, with_digests


def digests(count: int, salt: str = "") -> tuple[str, ...]:
    return tuple(hashlib.sha256(f"{salt}{number}".encode()).hexdigest() for number in range(count))


def card(*names: str) -> Card:
    return Card("toy", sources=tuple(DataSource(name, "CC0-1.0") for name in names))


def test_few_files_are_all_named() -> None:
    known = digests(3)
    (source,) = with_digests(card("logs"), {"logs": known}).sources
    assert listed_digests(source.note) == known
    assert lists_all(source.note)


def test_many_files_are_named_as_far_as_there_is_room_and_by_their_list() -> None:
    known = digests(5000)
    (source,) = with_digests(card("logs"), {"logs": known}).sources
    listing = hashlib.sha256("".join(f"{digest}\n" for digest in sorted(known)).encode()).hexdigest()
    assert listed_digests(source.note) == (*known[:MAX_DIGESTS], listing)
    assert not lists_all(source.note)


def test_sources_share_the_room() -> None:
    known = {name: digests(60, name) for name in "abc"}
    done = with_digests(card("a", "b", "c"), known)
    assert [len(listed_digests(source.note)) for source in done.sources] == [33, 33, 33], "32 each, and the list's"
    known["a"] = known["a"][:2]
    done = with_digests(card("a", "b", "c"), known)
    assert [lists_all(source.note) for source in done.sources] == [True, False, False]
    assert [len(listed_digests(source.note)) for source in done.sources] == [2, 48, 48]


def test_copies_of_a_file_are_named_once() -> None:
    (source,) = with_digests(card("logs"), {"logs": digests(2) * 100}).sources
    assert listed_digests(source.note) == digests(2)
    assert lists_all(source.note)


@pytest.mark.parametrize("filled", [0, 3000, 9000, 15_000, 15_900, MAX_CARD_BYTES - 220])
def test_the_card_never_becomes_too_large(filled: int) -> None:
    full = replace(card("logs"), summary="x" * filled)
    done = with_digests(full, {"logs": digests(1000)})
    assert len(dump_json(done.to_dict())) <= MAX_CARD_BYTES
    assert replace(done, sources=()) == replace(full, sources=())
    if filled < 15_000:
        assert len(listed_digests(done.sources[0].note)) > 1


def test_what_the_note_said_stays() -> None:
    said = Card("toy", sources=(DataSource("logs", "", note="of last year"),))
    assert with_digests(said, {"logs": digests(1)}).sources[0].note.startswith("of last year SHA-256 ")
    assert with_digests(said, {"others": digests(1)}) == said
