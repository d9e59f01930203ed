"""Work beside other work: both results, or the first failure and no thread left."""

import threading

import pytest

from tests.codec.threads.left_threads import no_new_threads
from zipllm.codec.threads.side_by_side import beside
from zipllm.progress import Advance


def test_both_results() -> None:
    met = threading.Barrier(2, timeout=30)

    def other(_: Advance) -> str:
        met.wait()
        return "other"

    assert beside(other, lambda: met.wait() >= 0) == ("other", True)


def test_what_nobody_wants_is_ended() -> None:
    begun, reports = threading.Event(), []

    def other(advance: Advance) -> None:
        while True:
            reports.append(1)
            begun.set()
            advance(0.5, 1)

    def mine() -> None:
        begun.wait(30)
        raise KeyboardInterrupt

    with no_new_threads(), pytest.raises(KeyboardInterrupt):
        beside(other, mine)
    assert reports


def test_a_failure_of_the_other() -> None:
    def other(_: Advance) -> None:
        raise ValueError("other")

    with pytest.raises(ValueError, match="other"):
        beside(other, lambda: None)
