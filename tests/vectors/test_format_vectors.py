"""What every version must read, and what it must refuse, with which error."""

import io
import re
from pathlib import Path

import pytest

import zipllm
from tests.vectors.make_recorded import payloads
from tests.vectors.make_vectors import FOLDER, hashes, readme, vectors
from tests.vectors.parts import Vector
from tests.vectors.payloads import RECORDED
from zipllm.container import ArchiveReader, scan
from zipllm.errors import CorruptData, LimitExceeded, UnsupportedData, ZipllmError

VECTORS = vectors()
GOOD = [vector for vector in VECTORS if vector.name.startswith("good-")]
REFUSED = [vector for vector in VECTORS if not vector.name.startswith("good-")]
ERRORS: dict[str, type[ZipllmError]] = {"bad": CorruptData, "unsupported": UnsupportedData, "limit": LimitExceeded}


def name_of(vector: Vector) -> str:
    return vector.name


def walk(data: bytes) -> None:
    for _ in ArchiveReader(io.BytesIO(data)):
        pass


def test_files_are_what_the_script_makes() -> None:
    stored = {path.stem: path.read_bytes() for path in FOLDER.glob("*.zllm")}
    assert stored == {vector.name: vector.data for vector in VECTORS}


def test_hashes_and_readme_are_up_to_date() -> None:
    assert (FOLDER / "SHA256SUMS").read_text(encoding="ascii") == hashes(VECTORS)
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert page == readme(page, VECTORS)


def test_names_are_unique_and_files_small() -> None:
    assert len({vector.name for vector in VECTORS}) == len(VECTORS)
    assert all(len(vector.data) < 64 << 10 for vector in VECTORS)


def test_scripts_import_nothing_of_zipllm() -> None:
    """The one that records payloads has to."""
    scripts = sorted({path.name for path in FOLDER.glob("*.py")} - {"make_recorded.py", Path(__file__).name})
    assert "good_predicted.py" in scripts
    for name in scripts:
        source = (FOLDER / name).read_text(encoding="utf-8")
        assert not re.search(r"^\s*(import|from) (zipllm|tests\.(?!vectors))", source, re.MULTILINE), name


def test_what_is_recorded_is_made_again() -> None:
    assert dict(payloads()) == {path.name: path.read_bytes() for path in RECORDED.iterdir()}


@pytest.mark.parametrize("vector", GOOD, ids=name_of)
def test_good(vector: Vector) -> None:
    assert vector.content is not None
    assert zipllm.decompress(vector.data) == vector.content
    assert [item.end_offset for item in scan(io.BytesIO(vector.data))][-1] == len(vector.data)


@pytest.mark.parametrize("vector", REFUSED, ids=name_of)
def test_refused(vector: Vector) -> None:
    """Refused at the latest when a block is decoded; what is over a limit, while the records are read."""
    error = ERRORS[vector.name.split("-")[0]]
    with pytest.raises(error) as caught:
        (walk if error is LimitExceeded else zipllm.decompress)(vector.data)
    assert type(caught.value) is error
