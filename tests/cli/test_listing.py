"""``list``: the table, the details and the JSON."""

import json
import tracemalloc
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from zlib import crc32

import pytest

from tests.cli.processes import ARCHIVE, CONTENT, Outcome, archive
from tests.container.archives import archive_of
from zipllm.cli.list import Listing, details, read_listing, table
from zipllm.container import (
    ArchiveHeader,
    ArchiveWriter,
    BlockHeader,
    Coding,
    CodingParameters,
    ContentHash,
    Limits,
    ModelRecord,
)

MODEL_ID = bytes(range(32))
Inside = Callable[..., Outcome]


def model_archive(embedded: bytes | None = None) -> bytes:
    """An archive of one stored and one model-coded block; its payload means nothing, and listing must not care."""
    sink = BytesIO()
    writer = ArchiveWriter(sink)
    content = ContentHash()
    writer.begin(ArchiveHeader(4000))
    for coding, raw, payload in (
        (Coding.STORED, CONTENT[:4000], CONTENT[:4000]),
        (Coding.MODEL, CONTENT[4000:], b"1234"),
    ):
        parameters = CodingParameters(lanes=3, probability_bits=16) if coding is Coding.MODEL else None
        if parameters is not None:
            writer.model(ModelRecord(MODEL_ID, embedded))
        writer.block(BlockHeader(coding, len(raw), len(payload), crc32(raw), parameters), payload)
        content.update(raw)
    writer.end(content.digest())
    return sink.getvalue()


def read(data: bytes, *, rows: bool = False) -> Listing:
    return read_listing("name", BytesIO(data), Limits(), rows=rows)


def test_table(inside: Inside, folder: Path) -> None:
    (folder / "m.zllm").write_bytes(model_archive())
    (folder / "empty.zllm").write_bytes(archive(b""))
    done = inside("list", "b.zllm", "m.zllm", "empty.zllm")
    assert (done.code, done.err) == (0, "")
    head, *rows, total = (line.split() for line in done.out.decode().splitlines())
    assert head == ["Blocks", "Compressed", "Uncompressed", "bpb", "Ratio", "Check", "Model", "Filename"]
    assert rows[0] == ["1", "4.96", "KiB", "4.88", "KiB", "8.122", "0.985", "SHA-256", "-", "b.zllm"]
    assert rows[1][0] == "2"
    assert rows[1][-2:] == ["00010203", "m.zllm"]
    assert rows[2] == ["0", f"{len(archive(b''))}", "B", "0", "B", "-", "-", "SHA-256", "-", "empty.zllm"]
    assert total[0] == "3"
    assert total[-2:] == ["3", "files"]


def test_columns_line_up() -> None:
    lines = table([read(ARCHIVE), read(model_archive())], {MODEL_ID: "a-rather-long-name"}).splitlines()
    assert lines[1].index(" name") == lines[2].index(" name") == lines[0].index(" Filename")
    assert " a-rather-long-name  name" in lines[2]


def test_details(inside: Inside, folder: Path) -> None:
    (folder / "m.zllm").write_bytes(model_archive(embedded=b"x" * 100))
    done = inside("list", "-v", "m.zllm")
    text = done.out.decode()
    assert text.startswith("m.zllm\n  Format version:  0.1\n  Archives:        1\n")
    assert "Blocks:          2 (1 model, 1 stored)" in text
    assert f"Model:           {MODEL_ID.hex()} (embedded, 100 bytes)" in text
    assert f"Compressed:      {(folder / 'm.zllm').stat().st_size} bytes (4.14 KiB)\n" in text
    assert "Uncompressed:    5000 bytes (4.88 KiB)\n" in text
    rows = [line.split() for line in text.splitlines()[-3:]]
    assert rows[0] == ["Block", "Coding", "Lanes", "Offset", "Compressed", "Uncompressed", "bpb", "Ratio", "CRC32"]
    stored, model = read((folder / "m.zllm").read_bytes(), rows=True).rows
    assert rows[1][:4] == ["1", "stored", "-", str(stored.offset)]
    assert rows[2][:4] == ["2", "model", "3", str(model.offset)]
    assert rows[2][-1] == f"{crc32(CONTENT[4000:]):08x}"


def test_details_of_several_files_end_in_the_table(inside: Inside) -> None:
    text = inside("list", "-v", "b.zllm", "b.zllm").out.decode()
    assert text.count("Format version") == 2
    assert text.splitlines()[-1].endswith("2 files")


def test_concatenated_archives_are_added_up() -> None:
    listing = read(ARCHIVE + model_archive() + archive(b""), rows=True)
    assert (listing.archives, listing.codings.total(), listing.raw_bytes) == (3, 3, 10_000)
    assert listing.coded_bytes == len(ARCHIVE + model_archive() + archive(b""))
    assert len(listing.sha256) == 3
    assert [row.coding for row in listing.rows] == ["stored", "stored", "model"]
    offset = list(listing.rows)[1].offset
    assert offset > len(ARCHIVE), "offsets are in the file, not in the archive"
    assert "Archives:        3" in next(details(listing, {MODEL_ID: "named"}))


def test_json(inside: Inside, folder: Path) -> None:
    (folder / "m.zllm").write_bytes(model_archive())
    done = inside("list", "--json", "b.zllm", "m.zllm")
    first, second = map(json.loads, done.out.splitlines())
    assert first == {
        "command": "list",
        "file": "b.zllm",
        "ok": True,
        "format_versions": ["0.1"],
        "archives": 1,
        "blocks": 1,
        "codings": {"stored": 1},
        "block_size": 16 << 20,
        "compressed_bytes": len(ARCHIVE),
        "raw_bytes": 5000,
        "bits_per_byte": 8 * len(ARCHIVE) / 5000,
        "ratio": 5000 / len(ARCHIVE),
        "check": "SHA-256",
        "sha256": first["sha256"],
        "models": [],
    }
    assert second["models"] == [{"id": MODEL_ID.hex(), "embedded_bytes": 0, "portable": True}]


def test_json_of_blocks(inside: Inside, folder: Path) -> None:
    (folder / "m.zllm").write_bytes(model_archive())
    record = json.loads(inside("list", "-v", "--json", "m.zllm").out)
    assert [block["coding"] for block in record["block_list"]] == ["stored", "model"]
    assert [block["lanes"] for block in record["block_list"]] == [None, 3]


def test_json_of_a_failure(inside: Inside, folder: Path) -> None:
    (folder / "bad.zllm").write_bytes(ARCHIVE[:-1])
    done = inside("list", "--json", "bad.zllm", "b.zllm", "missing")
    bad, good, missing = map(json.loads, done.out.splitlines())
    assert done.code == 3
    assert (bad["ok"], bad["exit_code"], bad["file"]) == (False, 3, "bad.zllm")
    assert good["ok"]
    assert missing == {
        "command": "list",
        "file": "missing",
        "ok": False,
        "exit_code": 1,
        "error": "missing: No such file or directory",
    }
    assert done.err == f"zipllm: {bad['error']}\nzipllm: missing: No such file or directory\n"


def test_standard_input_and_pipes(inside: Inside) -> None:
    done = inside("list", stdin=ARCHIVE)
    assert done.out.splitlines()[1].endswith(b" stdin")
    assert inside("list", "-", stdin=b"").error[0] == 3


def test_limits_hold_for_list_too(inside: Inside) -> None:
    code, message = inside("list", "--max-output", "4K", "b.zllm").error
    assert code == 5
    assert "--max-output" in message


def test_nothing_good_prints_no_table(inside: Inside) -> None:
    assert inside("list", "missing").error == (1, "zipllm: missing: No such file or directory\n")
    assert inside("list", "-q", "missing").error == (1, "zipllm: missing: No such file or directory\n")
    assert inside("list", "-qq", "missing").error == (1, "")


def test_folders_and_suffixes(inside: Inside, folder: Path) -> None:
    (folder / "c.other").write_bytes(ARCHIVE)
    assert inside("list", "-r", ".").out.count(b"\n") == 2
    assert inside("list", "-rS", ".other", ".").out.splitlines()[1].endswith(b"./c.other")


def test_links_are_read(inside: Inside, folder: Path) -> None:
    (folder / "link").symlink_to("b.zllm")
    assert inside("list", "link").code == 0


@pytest.mark.parametrize("name", ["n\nl.zllm", "raw\udcff.zllm", "\x1b[1m.zllm"])
def test_odd_names(inside: Inside, folder: Path, name: str) -> None:
    (folder / name).write_bytes(ARCHIVE)
    for arguments in (("list", name), ("list", "-v", name)):
        text = inside(*arguments).out.decode()
        assert all(line.isprintable() for line in text.splitlines())
        assert len(text.splitlines()) == (2 if len(arguments) == 2 else 13)


def test_a_missing_model_stops_all_but_the_list(inside: Inside, folder: Path) -> None:
    (folder / "m.zllm").write_bytes(model_archive())
    before = sorted(path.name for path in folder.iterdir())
    assert inside("list", "m.zllm").code == 0
    for command in ("decompress", "test"):
        code, message = inside(command, "-q", "m.zllm").error
        assert code == 4
        assert MODEL_ID.hex() in message
        assert "zipllm model import" in message
    assert sorted(path.name for path in folder.iterdir()) == before, "no output file"


def test_blocks_take_little_memory(inside: Inside, folder: Path) -> None:
    """A block may have a single byte. Tables and JSON come in parts."""
    count = 20_003
    data = archive_of(*[b"a"] * count)
    tracemalloc.start()
    listing = read(data, rows=True)
    for _ in details(listing, {}):
        pass
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 * count + (16 << 20)
    (folder / "many.zllm").write_bytes(data)
    assert len(json.loads(inside("list", "-v", "--json", "many.zllm").out)["block_list"]) == count
    text = inside("list", "-v", "many.zllm").out.decode()
    assert text.count("CRC32") == 3
    assert text.splitlines()[-1].split()[0] == str(count)
