"""``decompress --range`` and ``--salvage``, and what ``test`` says of the first bad block."""

import json
from pathlib import Path

import pytest

from tests.cli.processes import CONTENT, CommandLine, archive

SIZE = 1000
BLOCKS = archive(CONTENT, SIZE)  # five stored blocks


def damaged(at: int) -> bytes:
    return BLOCKS[:at] + bytes([BLOCKS[at] ^ 1]) + BLOCKS[at + 1 :]


THIRD_PAYLOAD = BLOCKS.index(CONTENT[2000:2100]) + 50
THIRD_HEADER = BLOCKS.index(CONTENT[2000:2100]) - 5


@pytest.fixture
def blocks(folder: Path) -> Path:
    (folder / "c.zllm").write_bytes(BLOCKS)
    return folder


@pytest.mark.parametrize(
    ("text", "start", "stop"),
    [("0:10", 0, 10), ("995:2005", 995, 2005), (":1K", 0, 1024), ("4999:", 4999, 5000), ("3K:1M", 3072, 5000)],
)
def test_range(zipllm: CommandLine, blocks: Path, text: str, start: int, stop: int) -> None:
    assert zipllm("decompress", "-c", "--range", text, "c.zllm").out == CONTENT[start:stop]
    assert zipllm("decompress", "-o", "part", f"--range={text}", "c.zllm").code == 0
    assert (blocks / "part").read_bytes() == CONTENT[start:stop]


def test_empty_ranges(zipllm: CommandLine, blocks: Path) -> None:
    for text in ("7:7", "5000:", "0:0"):
        assert zipllm("decompress", "-c", "--range", text, "c.zllm") == zipllm(
            "decompress", "-cq", "--range=:0", "c.zllm"
        )
    done = zipllm("decompress", "-c", "--range", "5001:", "c.zllm")
    assert done.error == (2, "zipllm: c.zllm: the range begins at byte 5001, the archive holds 5000 bytes\n")


def test_range_needs_only_its_own_blocks(zipllm: CommandLine, blocks: Path) -> None:
    (blocks / "c.zllm").write_bytes(damaged(THIRD_PAYLOAD))
    assert zipllm("decompress", "-c", "--range", "0:2000", "c.zllm").out == CONTENT[:2000]
    assert zipllm("decompress", "-c", "--range", "3000:", "c.zllm").out == CONTENT[3000:]
    done = zipllm("decompress", "-o", "part", "--range", "2999:3001", "c.zllm")
    assert done.code == 3
    assert "(block 3, bytes 2000 to 3000 of the original)" in done.err
    assert "part" not in zipllm.names()


@pytest.mark.parametrize("text", ["5", "9:2", "a:b", "-1:3", ":", "1:2:3", ""])
def test_what_is_no_range(zipllm: CommandLine, blocks: Path, text: str) -> None:
    done = zipllm("decompress", "-c", f"--range={text}", "c.zllm")
    assert (done.code, done.out) == ((0, CONTENT) if text == ":" else (2, b""))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (("--range", "1:2"), "--range gives a part of a file"),
        (("--range", "1:2", "--salvage", "-c"), "exclude each other"),
        (("--range", "1:2", "-o", "x", "--rm"), "--rm removes only what was decompressed whole"),
        (("--salvage", "--rm"), "--rm removes only what was decompressed whole"),
    ],
)
def test_flags_that_do_not_fit(zipllm: CommandLine, blocks: Path, arguments: tuple[str, ...], reason: str) -> None:
    code, message = zipllm("decompress", *arguments, "c.zllm").error
    assert code == 2
    assert reason in message
    assert zipllm.names() == {"a", "b.zllm", "c.zllm"}


def test_pipes_cannot_be_sought_in(zipllm: CommandLine, blocks: Path) -> None:
    import os

    for flag in ("--range=1:2", "--salvage"):
        reader, writer = os.pipe()
        os.write(writer, BLOCKS)
        os.close(writer)
        done = zipllm("decompress", "-c", flag, stdin=reader)
        os.close(reader)
        assert done.code == 1
        assert "is a pipe" in done.err
    assert zipllm("decompress", "--salvage", stdin=BLOCKS).out == CONTENT, "a file as standard input can"


@pytest.mark.parametrize("at", [THIRD_PAYLOAD, THIRD_HEADER], ids=["payload", "record header"])
def test_salvage(zipllm: CommandLine, blocks: Path, at: int) -> None:
    (blocks / "c.zllm").write_bytes(damaged(at))
    assert zipllm("decompress", "c.zllm").code == 3
    assert "c" not in zipllm.names()
    code, message = zipllm("decompress", "--salvage", "c.zllm").error
    assert code == 3
    lost, result = message.splitlines()
    assert lost.startswith("zipllm: c.zllm: bytes 2000 to 3000 are lost: ")
    assert result == "c.zllm : 4 whole blocks salvaged, 5000 bytes (c)"
    assert (blocks / "c").read_bytes() == CONTENT[:2000] + bytes(1000) + CONTENT[3000:]


def test_salvage_as_json(zipllm: CommandLine, blocks: Path) -> None:
    (blocks / "c.zllm").write_bytes(damaged(THIRD_PAYLOAD))
    done = zipllm("decompress", "--salvage", "--json", "c.zllm", "b.zllm")
    first, second = map(json.loads, done.out.splitlines())
    assert done.code == first["exit_code"] == 3
    assert not first["ok"]
    assert [(lost["begin"], lost["end"]) for lost in first["lost"]] == [(2000, 3000)]
    assert second["ok"]


def test_salvage_of_nothing_leaves_nothing(zipllm: CommandLine, folder: Path) -> None:
    (folder / "c.zllm").write_bytes(b"junk" * 100)
    code, message = zipllm("decompress", "--salvage", "c.zllm").error
    assert (code, message.split(":")[2]) == (3, " nothing can be salvaged")
    assert "c" not in zipllm.names()


def test_salvage_of_a_whole_archive_is_plain_success(zipllm: CommandLine, blocks: Path) -> None:
    assert zipllm("decompress", "--salvage", "c.zllm").error == (0, "c.zllm : 5000 bytes (c)\n")


def test_first_bad_block_is_named(zipllm: CommandLine, blocks: Path) -> None:
    (blocks / "c.zllm").write_bytes(damaged(THIRD_PAYLOAD))
    assert "(block 3, bytes 2000 to 3000 of the original)\n" in zipllm("test", "c.zllm").err
    (blocks / "c.zllm").write_bytes(damaged(THIRD_HEADER))
    assert zipllm("test", "c.zllm").err.endswith("(after block 2, at byte 2000 of the original)\n")
    (blocks / "c.zllm").write_bytes(BLOCKS[: THIRD_PAYLOAD + 5])
    done = zipllm("test", "c.zllm")
    assert done.code == 3
    assert done.err.endswith("(after block 2, at byte 2000 of the original)\n")
