"""The benchmark scripts still fit the package: timed functions exist, studies are found, links lead somewhere."""

import importlib
import re
from pathlib import Path

import pytest

from benchmarks.speed.__main__ import INSIDE, PROCESSES, find_study
from benchmarks.speed.stages import STAGES

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize("target", [target for targets in STAGES.values() for target in targets])
def test_every_timed_function_exists(target: str) -> None:
    module, _, path = target.partition(":")
    found: object = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    assert callable(found)


@pytest.mark.parametrize("name", [*PROCESSES, *INSIDE])
def test_every_study_of_speed_is_found(name: str) -> None:
    assert callable(find_study(name))


def test_links_lead_somewhere() -> None:
    pages = sorted(BENCHMARKS.rglob("*.md"))
    assert len(pages) > 10
    for page in pages:
        links = re.findall(r"\]\(([^)#:]+)\)", page.read_text(encoding="utf-8"))
        assert not [link for link in links if not (page.parent / link).exists()], page


def test_notebook_entries_have_a_verdict_and_a_number() -> None:
    heads = re.findall(r"^### (.*)$", (BENCHMARKS / "LOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(heads) > 80
    for head in heads:
        assert re.search(r"(Adopted|Kept|Rejected|Found|Measured)\b.* \(.+\)$", head), head
