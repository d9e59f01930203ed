"""What is said about each file: lines, JSON, verbosity."""

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.processes import ARCHIVE, CONTENT, Outcome
from zipllm.cli.messages import explain_error, format_bpb, format_size, format_speed
from zipllm.cli.options import parse_size
from zipllm.cli.results import print_json
from zipllm.errors import CorruptData, LimitExceeded
from zipllm.files.names import PathError

Inside = Callable[..., Outcome]
SIZES = f"101.52% (5000 => {len(ARCHIVE)} bytes, 8.122 bpb"


# --------------------------------------------------------------------------- verbosity
def test_quiet(inside: Inside, folder: Path) -> None:
    assert inside("compress", "-q", "a").error == (0, "")
    assert inside("compress", "-q", "a").error[1].startswith("zipllm: a.zllm: already exists")
    assert inside("compress", "-qq", "a").error == (1, "")


def test_verbose(inside: Inside) -> None:
    code, message = inside("compress", "-v", "a").error
    first, second = message.splitlines()
    assert code == 0
    assert first == f"a : {SIZES}, a.zllm); model small not used"
    assert second.startswith("  1 block (1 stored), no model, ")
    assert second.endswith("B/s")


def test_standard_output_is_not_commented_unless_asked(inside: Inside) -> None:
    assert inside("compress", "-c3", "a").err == ""
    assert inside("compress", "-cv", "a").err.startswith(f"a : {SIZES}, stdout); model small not used\n")
    assert inside("decompress", "-v", stdin=ARCHIVE).err.startswith("stdin : 5000 bytes (stdout)\n")


def test_totals(inside: Inside, folder: Path) -> None:
    (folder / "c").write_bytes(CONTENT)
    assert inside("compress", "a", "c").err.splitlines()[2] == (
        f"2 files compressed : 101.52% (10000 => {2 * len(ARCHIVE)} bytes, 8.122 bpb)"
    )
    assert inside("test", "a.zllm", "c.zllm").err.splitlines()[2] == "2 files tested : 10000 bytes"
    assert inside("decompress", "-f", "a.zllm", "c.zllm").err.splitlines()[2] == "2 files decompressed : 10000 bytes"


# --------------------------------------------------------------------------- JSON
def test_json_of_compress(inside: Inside) -> None:
    done = inside("compress", "--json", "a")
    record = json.loads(done.out)
    assert (done.code, done.err) == (0, "")
    assert record.pop("seconds") >= 0
    sha256 = record.pop("sha256")
    assert len(sha256) == 64
    assert record == {
        "command": "compress",
        "file": "a",
        "ok": True,
        "output": "a.zllm",
        "raw_bytes": 5000,
        "compressed_bytes": len(ARCHIVE),
        "bits_per_byte": 8 * len(ARCHIVE) / 5000,
        "ratio": 5000 / len(ARCHIVE),
        "blocks": 1,
        "codings": {"stored": 1},
        "models": [],
        "portable": True,
        "remark": "model small not used",
    }
    again = json.loads(inside("decompress", "-f", "--json", "a.zllm").out)
    assert (again["command"], again["output"], again["sha256"]) == ("decompress", "a", sha256)


def test_json_of_test_has_no_output(inside: Inside) -> None:
    record = json.loads(inside("test", "--json", "b.zllm").out)
    assert "output" not in record
    assert record["ok"]


def test_json_of_several_files_is_one_line_each(inside: Inside) -> None:
    done = inside("test", "--json", "missing", "b.zllm")
    records = [json.loads(line) for line in done.out.splitlines()]
    assert [record["ok"] for record in records] == [False, True]
    assert records[0]["exit_code"] == done.code == 1
    assert done.err == "zipllm: missing: No such file or directory\n"


def test_json_of_the_empty_file(inside: Inside, folder: Path) -> None:
    (folder / "empty").touch()
    record = json.loads(inside("compress", "--json", "empty").out)
    assert (record["raw_bytes"], record["bits_per_byte"], record["ratio"], record["blocks"]) == (0, None, 0.0, 0)


@pytest.mark.parametrize("name", ["raw\udcff", "line\nbreak", "ümlaut", '"quoted"'])
def test_json_names_are_valid_and_lossless(inside: Inside, folder: Path, name: str) -> None:
    (folder / name).write_bytes(CONTENT)
    done = inside("compress", "--json", name)
    assert done.out.isascii()
    assert done.out.count(b"\n") == 1
    record = json.loads(done.out)
    record["file"].encode("utf-8")
    raw = base64.b64decode(record["file_base64"]) if "file_base64" in record else record["file"].encode()
    assert raw == os.fsencode(name)
    assert ("file_base64" in record) == ("\udcff" in name)


def test_name_with_the_replacement_character_itself(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"file": "a\ufffd"})
    assert json.loads(capsys.readouterr().out) == {"file": "a\ufffd"}


# --------------------------------------------------------------------------- words
@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.977 KiB"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (102_400, "100 KiB"),
        (1_023_999, "0.977 MiB"),
        (1 << 20, "1 MiB"),
        (123_456_789, "118 MiB"),
        (1 << 40, "1 TiB"),
        (5000 << 40, "5000 TiB"),
    ],
)
def test_sizes(size: int, text: str) -> None:
    assert format_size(size) == text


def test_speeds_and_bits() -> None:
    assert format_speed(15_300, 1) == "15.3 KB/s"
    assert format_speed(2_500_000, 1) == "2.50 MB/s"
    assert format_speed(5, 0) == "0.0 KB/s"
    assert format_bpb(1.23456) == "1.235"
    assert format_bpb(None) == "-"


def test_explanations() -> None:
    assert explain_error("a\nb", CorruptData("torn")) == "a\\nb: torn"
    assert explain_error(None, CorruptData("torn")) == "torn"
    assert explain_error("other", PathError("a", "is odd", "try -x")) == "a: is odd (try -x)"
    assert explain_error("a", OSError(5, "Input/output error")) == "a: Input/output error"
    assert explain_error("a", LimitExceeded("too many lanes", "lanes")) == "a: too many lanes"
    assert explain_error("a", LimitExceeded("too long", "output")) == "a: too long (--max-output raises it)"
    assert explain_error("a", CorruptData()) == "a: CorruptData"


@pytest.mark.parametrize(
    ("text", "size"),
    [("0", 0), ("65536", 65536), ("64K", 65536), ("64k", 65536), ("64KB", 65536), ("64KiB", 65536), ("2M", 2 << 20),
     ("1g", 1 << 30), ("12B", 12)],
)  # fmt: skip
def test_sizes_as_typed(text: str, size: int) -> None:
    assert parse_size(text) == size
