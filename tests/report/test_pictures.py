"""The committed pictures show what a fresh run measures."""

import json

import pytest

from benchmarks.pictures import PICTURES, RECORD, digest, figures


def test_pictures_are_those_of_the_record() -> None:
    record = json.loads(RECORD.read_text())
    assert {name: entry["sha256"] for name, entry in record.items()} == {name: digest(name) for name in PICTURES}


def test_pictures_are_not_stale() -> None:
    for package in ("brotli", "pyppmd"):
        pytest.importorskip(package)
    record = json.loads(RECORD.read_text())
    assert {name: entry["figures"] for name, entry in record.items()} == figures(), "run python benchmarks/pictures.py"
