"""The fuzz targets in the test suite: every seed, derandomized examples, and every case that once failed."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.feed import Feed, edited
from tests.fuzz.targets import TARGETS

CASES = sorted(path for path in Path(__file__).with_name("cases").rglob("*") if path.is_file() and path.suffix != ".md")
SEEDS = 25


@pytest.mark.parametrize("name", TARGETS)
def test_seeds(name: str) -> None:
    seeds = list(TARGETS[name].seeds())
    for seed in seeds[:: 1 + len(seeds) // SEEDS]:
        TARGETS[name].run(seed)


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.data())
def test_changed_seeds(name: str, data: st.DataObject) -> None:
    seed = data.draw(st.sampled_from(list(TARGETS[name].seeds())))
    TARGETS[name].run(edited(seed, Feed(data.draw(st.binary(max_size=64)))))


@pytest.mark.parametrize("name", TARGETS)
@given(data=st.binary(max_size=300))
def test_any_bytes(name: str, data: bytes) -> None:
    TARGETS[name].run(data)


@pytest.mark.parametrize("path", CASES, ids=lambda path: f"{path.parent.name}-{path.name}")
def test_cases_that_once_failed(path: Path) -> None:
    TARGETS[path.parent.name].run(path.read_bytes())
