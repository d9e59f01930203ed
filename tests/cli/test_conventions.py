"""What gzip, xz and zstd have taught users to expect, case by case, with exact exit codes and messages."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.processes import ARCHIVE, CONTENT, CommandLine, Outcome, archive

MTIME_NS = 1_234_567_890_123_456_789
SUMMARY = f"(5000 => {len(ARCHIVE)} bytes, {8 * len(ARCHIVE) / 5000:.3f} bpb"


# --------------------------------------------------------------------------- success
def test_compress_then_decompress(zipllm: CommandLine, folder: Path) -> None:
    (folder / "a").chmod(0o640)
    os.utime(folder / "a", ns=(MTIME_NS, MTIME_NS))
    percent = f"{100 * len(ARCHIVE) / 5000:.2f}%"
    assert zipllm("compress", "a").error == (0, f"a : {percent} {SUMMARY}, a.zllm); model small not used\n")
    assert (folder / "a").read_bytes() == CONTENT, "the source is kept"
    assert (folder / "a.zllm").read_bytes() == ARCHIVE
    (folder / "a").unlink()
    assert zipllm("decompress", "a.zllm").error == (0, "a.zllm : 5000 bytes (a)\n")
    assert zipllm.names() == {"a", "a.zllm", "b.zllm"}
    for name in ("a", "a.zllm"):
        status = (folder / name).stat()
        assert (stat.S_IMODE(status.st_mode), status.st_mtime_ns) == (0o640, MTIME_NS)


def test_rm_removes_the_source_after_success(zipllm: CommandLine) -> None:
    assert zipllm("compress", "-q", "--rm", "a").error == (0, "")
    assert zipllm.names() == {"a.zllm", "b.zllm"}


def test_standard_input_to_standard_output(zipllm: CommandLine) -> None:
    packed = zipllm("compress", stdin=CONTENT)
    assert (packed.code, packed.out, packed.err) == (0, ARCHIVE, "stdin : model small not used\n")
    unpacked = zipllm("decompress", "-", stdin=packed.out)
    assert (unpacked.code, unpacked.out, unpacked.err) == (0, CONTENT, "")


def test_concatenated_archives(zipllm: CommandLine, folder: Path) -> None:
    (folder / "two.zllm").write_bytes(ARCHIVE + archive(b"\xff" * 3) + archive(b""))
    assert zipllm("decompress", "-c", "two.zllm").out == CONTENT + b"\xff" * 3


def test_empty_input(zipllm: CommandLine, folder: Path) -> None:
    (folder / "empty").touch()
    done = zipllm("compress", "empty")
    size = (folder / "empty.zllm").stat().st_size
    assert done.error == (0, f"empty : (0 => {size} bytes, empty.zllm)\n")
    assert size <= 64
    assert zipllm("decompress", "-c", "empty.zllm").out == b""


def test_compress_d_decompresses(zipllm: CommandLine, folder: Path) -> None:
    assert zipllm("compress", "-dq", "b.zllm").error == (0, "")
    assert (folder / "b").read_bytes() == CONTENT


# --------------------------------------------------------------------------- refusals
def test_output_exists(zipllm: CommandLine, folder: Path) -> None:
    (folder / "b").write_bytes(b"older")
    expected = "zipllm: b: already exists, not overwritten (-f overwrites it)\n"
    assert zipllm("decompress", "b.zllm", stdin=b"y\n").error == (1, expected)
    assert (folder / "b").read_bytes() == b"older"
    assert zipllm("decompress", "-fq", "b.zllm").error == (0, "")
    assert (folder / "b").read_bytes() == CONTENT


def test_unknown_suffix(zipllm: CommandLine, folder: Path) -> None:
    (folder / "b.zllm").rename(folder / "b.bin")
    hint = "(name the result with -o or use -c)"
    assert zipllm("decompress", "b.bin").error == (1, f"zipllm: b.bin: unknown suffix, expected .zllm {hint}\n")
    assert zipllm("decompress", "-c", "b.bin").out == CONTENT
    assert zipllm("decompress", "b.bin", "-qo", "named").error == (0, "")
    assert (folder / "named").read_bytes() == CONTENT


def test_suffix_already_there(zipllm: CommandLine) -> None:
    hint = "(-f compresses it again)"
    expected = f"zipllm: b.zllm: already has the suffix .zllm, skipped {hint}\n"
    assert zipllm("compress", "b.zllm").error == (1, expected)
    assert zipllm("compress", "-fq", "b.zllm").error == (0, "")
    assert zipllm("decompress", "-c", "b.zllm.zllm").out == ARCHIVE


def test_folder(zipllm: CommandLine, folder: Path) -> None:
    (folder / "sub" / "deep").mkdir(parents=True)
    (folder / "sub" / "deep" / "x").write_bytes(CONTENT)
    (folder / "sub" / "y").write_bytes(CONTENT)
    expected = "zipllm: sub: is a directory, skipped (-r takes the files in it)\n"
    assert zipllm("compress", "sub").error == (1, expected)
    done = zipllm("compress", "-r", "--rm", "sub")
    assert done.error[0] == 0
    assert done.err.splitlines()[-1].startswith(f"2 files compressed : 101.52% (10000 => {2 * len(ARCHIVE)} bytes")
    assert sorted(path.name for path in (folder / "sub").rglob("*.*")) == ["x.zllm", "y.zllm"]
    assert zipllm("decompress", "-rq", "sub").error == (0, "")
    assert (folder / "sub" / "deep" / "x").read_bytes() == CONTENT


def test_link(zipllm: CommandLine, folder: Path) -> None:
    (folder / "link").symlink_to("a")
    assert zipllm("compress", "link").error == (1, "zipllm: link: is a symbolic link, skipped (-f follows it)\n")
    assert zipllm("compress", "-fq", "link").error == (0, "")
    assert zipllm("decompress", "-c", "link.zllm").out == CONTENT


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing", "missing: No such file or directory"),
        ("", "'': No such file or directory"),
        ("a/", "a/: Not a directory"),
        ("/dev/null", "/dev/null: is not a regular file, skipped (name the result with -o or use -c)"),
        ("/proc/self/mem", "/proc/self/mem: Input/output error"),
    ],
)
def test_what_cannot_be_read(zipllm: CommandLine, name: str, message: str) -> None:
    arguments = ("-c",) if name.startswith("/proc") else ()
    assert zipllm("compress", *arguments, name).error == (1, f"zipllm: {message}\n")


def test_one_bad_file_of_two_does_not_stop_the_other(zipllm: CommandLine, folder: Path) -> None:
    (folder / "bad.zllm").write_bytes(ARCHIVE[:-5])
    done = zipllm("decompress", "-q", "missing.zllm", "bad.zllm", "b.zllm")
    assert done.code == 3, "the worst of 1, 3 and 0"
    first, second = done.err.splitlines()
    assert first == "zipllm: missing.zllm: No such file or directory"
    assert second.startswith("zipllm: bad.zllm: ")
    assert (folder / "b").read_bytes() == CONTENT


# --------------------------------------------------------------------------- damage
DAMAGED = {
    "junk": b"this is not an archive at all",
    "nothing": b"",
    "truncated": ARCHIVE[:-1],
    "header only": ARCHIVE[:10],
    "flipped": ARCHIVE[:3000] + bytes([ARCHIVE[3000] ^ 4]) + ARCHIVE[3001:],
    "garbage behind": ARCHIVE + b"garbage",
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damage_gives_an_error_and_no_file(zipllm: CommandLine, folder: Path, kind: str) -> None:
    (folder / "bad.zllm").write_bytes(DAMAGED[kind])
    before = zipllm.names()
    code, message = zipllm("decompress", "bad.zllm").error
    assert code == 3
    assert message.startswith("zipllm: bad.zllm: ")
    assert message.count("\n") == 1
    assert zipllm.names() == before


def test_test_command(zipllm: CommandLine, folder: Path) -> None:
    assert zipllm("test", "b.zllm").error == (0, "b.zllm : 5000 bytes, whole\n")
    (folder / "bad.zllm").write_bytes(DAMAGED["flipped"])
    code, message = zipllm("test", "b.zllm", "bad.zllm").error
    assert code == 3
    assert "CRC-32" in message
    assert "block 1" in message


def test_output_limit(zipllm: CommandLine) -> None:
    code, message = zipllm("decompress", "--max-output", "4K", "b.zllm").error
    assert code == 5
    assert message.startswith("zipllm: b.zllm: ")
    assert message.endswith("(--max-output raises it)\n")
    assert zipllm("decompress", "-q", "--max-output", "5000", "b.zllm").error == (0, "")
    code, message = zipllm("test", "-q", "--max-memory", "4999", "b.zllm").error
    assert code == 5
    assert message.endswith("(--max-memory raises it)\n")


def test_missing_model(zipllm: CommandLine) -> None:
    code, message = zipllm("compress", "--model", "no-such-model", "a").error
    assert code == 4
    assert message.startswith("zipllm: no model called 'no-such-model'")
    assert zipllm.names() == {"a", "b.zllm"}


@pytest.mark.parametrize("name", [b"line\nbreak", b"\x1b[31mred", b"[b]bold", b"raw\xff", b" ", b"-c"])
def test_odd_names(zipllm: CommandLine, folder: Path, name: bytes) -> None:
    (folder / os.fsdecode(name)).write_bytes(CONTENT)
    done = zipllm("compress", "--", name)
    assert (done.code, done.out) == (0, b"")
    assert done.err.count("\n") == 1
    assert done.err.strip().isprintable()
    again = zipllm("compress", "--", name)
    assert again.code == 1
    assert again.err.count("\n") == 1
    assert again.err.strip().isprintable()
    assert os.fsdecode(name + b".zllm") in zipllm.names()


def test_name_that_is_markup(zipllm: CommandLine, folder: Path) -> None:
    (folder / "x[").mkdir()
    (folder / "x[" / "red]").write_bytes(CONTENT)
    assert "x[/red] : 101.52%" in zipllm("compress", "x[/red]").err


# --------------------------------------------------------------------------- options
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("compress", "--no-such-flag", "a"), "No such option: --no-such-flag"),
        (("compress", "--device", "gpu", "a"), "--device"),
        (("compress", "--block-size", "many", "a"), "'many' is not a size"),
        (("compress", "--block-size", "17M", "a"), "block_size must be 1 to"),
        (("compress", "--block-size", "0", "a"), "block_size must be 1 to"),
        (("compress", "--lanes", "-1", "a"), "--lanes"),
        (("compress", "--lanes", "9999", "a"), "lanes must be 1 to"),
        (("compress", "--threads", "-1", "a"), "--threads"),
        (("compress", "-o", "x", "-c", "a"), "-o and -c exclude each other"),
        (("compress", "-o", "x", "a", "a"), "-o takes one input only"),
        (("compress", "-r", "-o", "x", "."), "-o takes one input only"),
        (("compress", "-S", "", "a"), "suffix must not be empty"),
        (("compress", "-S", "/", "a"), "must not contain a slash"),
        (("compress", "--rm", "--no-verify", "a"), "--rm removes only what was verified"),
        (("compress", "--json", "-c", "a"), "--json"),
        (("compress", "--json"), "--json"),
        (("decompress", "--json", "-o", "-", "b.zllm"), "--json"),
        (("frobnicate",), "No such command"),
        (("--no-such-flag",), "No such option"),
        (("list", "--max-output", "-5", "b.zllm"), "is not a size"),
    ],
)
def test_usage_errors(inside: Callable[..., Outcome], folder: Path, arguments: tuple[str, ...], words: str) -> None:
    before = set(os.listdir(folder))
    code, message = inside(*arguments).error
    assert code == 2
    assert message.startswith("zipllm: ")
    assert words in message
    assert message.count("\n") == 1
    assert set(os.listdir(folder)) == before


def test_usage_errors_of_a_process(zipllm: CommandLine) -> None:
    expected = "zipllm: No such option: --[/red]\\x1b[31m (see zipllm compress --help)\n"
    assert zipllm("compress", "--[/red]\x1b[31m").error == (2, expected)


def test_no_command_shows_the_help(zipllm: CommandLine) -> None:
    done = zipllm()
    assert done.code == 2
    assert b"decompress" in done.out
