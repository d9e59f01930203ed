"""Later versions read earlier archives, and write the same bytes for the same input."""

import hashlib

import pytest

import zipllm
from tests.golden.make_golden import FOLDER, GOLDEN, Golden, made

_LINES = (FOLDER / "SHA256SUMS").read_text(encoding="ascii").splitlines()
SUMS = {name: digest for digest, name in map(str.split, _LINES)}


def name_of(golden: Golden) -> str:
    return golden.name


def archive_of(golden: Golden) -> bytes:
    return (FOLDER / f"{golden.name}.zllm").read_bytes()


def test_nothing_is_missing_and_nothing_unhashed() -> None:
    assert sorted(SUMS) == sorted(path.name for path in FOLDER.glob("*.zllm"))
    assert sorted(SUMS) == sorted(f"{golden.name}.zllm" for golden in GOLDEN)


@pytest.mark.parametrize("golden", GOLDEN, ids=name_of)
def test_unchanged_and_readable(golden: Golden) -> None:
    archive = archive_of(golden)
    assert hashlib.sha256(archive).hexdigest() == SUMS[f"{golden.name}.zllm"]
    assert zipllm.decompress(archive) == golden.content


@pytest.mark.parametrize("golden", [golden for golden in GOLDEN if golden.repeatable], ids=name_of)
def test_written_again_bit_for_bit(golden: Golden) -> None:
    assert made(golden) == archive_of(golden)
