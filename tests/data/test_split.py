"""One document in fifty is held back; from little data enough for a window, but never too much."""

import pytest

from zipllm.data.split import SMALL_BYTES, Split, document_bytes, fit_bound

DOCUMENTS = [b"document %07d" % number for number in range(20_000)]


def test_one_in_fifty() -> None:
    held = sum(Split(1024).is_valid(document) for document in DOCUMENTS)
    assert 320 < held < 480, "400 expected, standard deviation 20"


@pytest.mark.parametrize("count", [5, 30, 200, 2000])
@pytest.mark.parametrize("wanted", [1, 100, 1000])
def test_enough_is_held_back_or_nothing(count: int, wanted: int) -> None:
    documents = DOCUMENTS[:count]
    split = Split(1024, fit_bound(documents, wanted))
    held = sum(len(document) for document in documents if split.is_valid(document))
    total = sum(map(len, documents))
    assert held == 0 or wanted <= held <= total // 5
    if wanted <= total // 5 - len(documents[0]):
        assert held


def test_much_data_is_divided_as_if_the_bound_were_not_fitted() -> None:
    fitted = Split(1024, fit_bound(DOCUMENTS, 100))
    assert [fitted.is_valid(document) for document in DOCUMENTS] == [Split(1024).is_valid(d) for d in DOCUMENTS]


@pytest.mark.parametrize("line", [b"always the same line", b"another line", b"and a third one"])
def test_data_that_is_one_document_again_and_again_is_all_for_training(line: bytes) -> None:
    assert fit_bound([line] * 1000, 100) == 0


def test_documents_are_some_hundred_or_large() -> None:
    assert [document_bytes(size) for size in (0, 300_000, 1 << 20, SMALL_BYTES, 1 << 40)] == [
        1024,
        1171,
        4096,
        32_768,
        65_536,
    ]
