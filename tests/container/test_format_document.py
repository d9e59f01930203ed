"""FORMAT.md says what the code does: its examples are real archives, its numbers the code's."""

import hashlib
import io
import re
from dataclasses import fields
from importlib import resources
from pathlib import Path

import pytest

import zipllm.container
from tests.container.archives import archive_of, decode_stored
from zipllm.container import Coding, Limits
from zipllm.container.block import ENCODINGS, TRANSCODED
from zipllm.container.header import END_MARKER, MAGIC, MAJOR, MINOR
from zipllm.container.record import RecordType

DOCUMENT = (Path(zipllm.container.__file__).parent / "FORMAT.md").read_text(encoding="utf-8")


def example(name: str) -> bytes:
    """The bytes of a hex listing: on each line all pairs before the first run of two spaces."""
    (listing,) = re.findall(rf"```hex {re.escape(name)}\n(.*?)```", DOCUMENT, re.DOTALL)
    return bytes.fromhex(" ".join(line.split("  ")[0] for line in io.StringIO(listing)))


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading, without its two head lines."""
    section = DOCUMENT.split(f"\n{heading}\n")[1].split("\n#")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@pytest.mark.parametrize(("name", "raws", "known"), [("empty", [], True), ("letter-a", [b"a"], False)])
def test_examples_are_what_is_written(name: str, raws: list[bytes], known: bool) -> None:
    assert example(name) == archive_of(*raws, known=known)
    assert decode_stored(example(name)) == b"".join(raws)


def test_sizes_in_the_headings_of_the_examples() -> None:
    assert re.findall(r"^### 14\.\d .* (\d+) bytes$", DOCUMENT, re.MULTILINE) == [
        str(len(example("empty"))),
        str(len(example("letter-a"))),
    ]


def test_limits() -> None:
    defaults = Limits()
    stated = {cells[2].strip("`"): cells[1] for cells in rows("## 8. Limits")}
    for name in ("block_raw", "block_payload", "blocks", "lanes", "model_file"):
        assert stated[name] == str(getattr(defaults, name))
    assert str(defaults.output_floor) in stated["output"]
    assert f"{defaults.output_ratio} times" in stated["output"]
    all_fields = {field.name for field in fields(Limits)} - {"output_floor", "output_ratio"}
    assert set(stated) - {"by the format"} == all_fields


def test_codings() -> None:
    named = {coding.value: coding.name.lower() for coding in Coding} | {TRANSCODED: "transcoded"}
    assert {int(cells[0]): cells[1] for cells in rows("## 6. Codings")} == named


def test_record_types() -> None:
    assert {(int(cells[0], 16), cells[2]) for cells in rows("## 5. Records")} == {
        (kind.value, kind.name) for kind in RecordType
    }


def test_constants() -> None:
    assert f"`{MAGIC.hex(' ').upper()}`" in DOCUMENT
    assert f"`{END_MARKER.hex(' ').upper()}`" in DOCUMENT
    assert f"format version **{MAJOR}.{MINOR}**" in DOCUMENT


def test_version_0_says_that_it_is_not_frozen() -> None:
    assert MAJOR == 0, "from version 1 on the format is frozen: drop this test and section 'Version 0'"
    assert "**Version 0 is not frozen.**" in DOCUMENT


def test_the_table_of_gb18030_is_the_one_named() -> None:
    table = resources.files("zipllm.codec.block").joinpath("gb18030.bin").read_bytes()
    assert hashlib.sha256(table).hexdigest() in DOCUMENT
    assert list(ENCODINGS) == [1, 2, 3]
