"""The command line: any arguments end in a documented exit code, printable messages and no unfinished file."""

import contextlib
import io
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.feed import Feed
from zipllm.cli.app import app
from zipllm.cli.app import run as run_command
from zipllm.codec.encoder import compress_stream

EXIT_CODES = {0, 1, 2, 3, 4, 5, 6, 141}
COMMANDS = ("compress", "decompress", "test", "list")
OTHERS = {command.name for command in app.registered_commands} - set(COMMANDS)
"""Not run with any arguments: they train, measure and fetch."""

CONTENT = random.Random(3).randbytes(40)  # too short for a model to be asked
_WORDS = (
    *COMMANDS, "a", "b.zllm", "bad.zllm", "folder", "link", "new", "-", "--", ".", "..", "",
    "-o", "--output", "-c", "--stdout", "-f", "--force", "-k", "--keep", "--rm", "-r", "--recursive", "-S", "--suffix",
    "-d", "--decompress", "--model", "--device", "cpu", "cuda", "-T", "--threads", "--lanes", "--block-size",
    "--embed-model", "--no-verify", "--no-sample", "--max-output", "--max-memory", "-q", "-qq", "-v", "-vv",
    "--no-progress", "--json", "--help", "-h", "-V", "--version", "0", "1", "3", "-1", "4K", "16M", "17M", "1e3",
    "-3", "-6", "-9", "--level", "--no-history",
    "--salvage", "--range", "0:10", "5:", ":7", "9:2", "-4:", "small", ".zllm", "\x1b[31m", "\n", "[red]", "\udcff",
)  # fmt: skip


def run(data: bytes) -> None:
    """Run one command line in a folder of its own."""
    arguments = _arguments(Feed(data))
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as top, _quiet() as messages:
        folder = Path(top, "outer", "work")
        _fill(folder)
        os.chdir(folder)
        try:
            code = run_command(arguments)
        finally:
            os.chdir(before)
        left = [name for _, _, names in os.walk(top) for name in names if name.startswith(".zipllm-")]
    assert code in EXIT_CODES, f"{arguments} gave {code}"
    assert not left, f"{arguments} left {left}"
    assert all(line.isprintable() for line in messages.getvalue().split("\n")), f"{arguments}: {messages.getvalue()!r}"


def _arguments(feed: Feed) -> list[str]:
    arguments: list[str] = []
    while feed and len(arguments) < 10:
        index = feed.below(len(_WORDS) + 8)
        word = _WORDS[index] if index < len(_WORDS) else feed.piece().decode("utf-8", "surrogateescape")
        word = word.replace("/", "").replace("\0", "")  # stay in the folder; the system allows no NUL
        if word not in OTHERS:
            arguments.append(word)
    return arguments


def _fill(folder: Path) -> None:
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(CONTENT)
    sink = io.BytesIO()
    compress_stream(io.BytesIO(CONTENT), sink, engine=None)
    (folder / "b.zllm").write_bytes(sink.getvalue())
    (folder / "bad.zllm").write_bytes(sink.getvalue()[:-5])
    (folder / "folder").mkdir()
    (folder / "folder" / "c").write_bytes(CONTENT)
    (folder / "link").symlink_to("a")


@contextlib.contextmanager
def _quiet() -> Iterator[io.StringIO]:
    """Nothing to read on standard input, results thrown away; what is said for people is given back."""
    saved = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages), contextlib.redirect_stdout(io.StringIO()):
            yield messages
    finally:
        for target, descriptor in enumerate(saved):
            os.dup2(descriptor, target)
            os.close(descriptor)


def seeds() -> Iterator[bytes]:
    """Each command with some flags."""
    for command in range(len(COMMANDS)):
        for flag in range(len(COMMANDS), len(_WORDS)):
            yield bytes([command, flag, len(COMMANDS), 5])
            yield bytes([command, 5, flag, 9, flag])
