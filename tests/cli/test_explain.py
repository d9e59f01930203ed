"""``zipllm explain``: colors, signs, JSON and a page; and one clear line for what cannot be explained."""

import json
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.processes import ARCHIVE, Outcome
from tests.model_file.conftest import CARD, CONFIG, random_integer_model
from zipllm.cli.explain import map as explain_map
from zipllm.cli.tables import shows_colors
from zipllm.container import MAGIC
from zipllm.model_file.file import build_model, model_to_bytes
from zipllm.tokenizer import ByteTokenizer

TEXT = "Ein Wort, 一个词, and a word.\n\tOne more word <b>.".encode()


@pytest.fixture(scope="module")
def model_file() -> bytes:
    """A model that knows nothing, and guesses exactly."""
    return model_to_bytes(build_model(CONFIG, ByteTokenizer(), random_integer_model(), CARD))


@pytest.fixture
def model(folder: Path, model_file: bytes) -> Path:
    path = folder / "tiny.safetensors"
    path.write_bytes(model_file)
    (folder / "text").write_bytes(TEXT)
    return path


def test_signs_without_colors(inside: Callable[..., Outcome], model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    done = inside("explain", "text", "--model", model)
    assert (done.code, done.err) == (0, "")
    lines = done.out.decode().splitlines()
    assert lines[0] == "bits per byte: . under 1  - 1 to 2  + 2 to 4  # 4 and more"
    assert lines[2] == "Ein Wort, 一个词, and a word.↵"
    assert re.fullmatch(r"[.\-+#]{30}", lines[3]), "two signs under a wide character"
    assert lines[4] == "→One more word <b>."
    assert "\x1b" not in done.out.decode()
    assert re.match(r"text: 52 -> \d+ bytes \([0-9.]+ %\)\. 52 tokens cost ", lines[7])
    assert lines[8].startswith("bits: ")


def test_colors(inside: Callable[..., Outcome], model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    done = inside("explain", "-q", "text", "--model", model)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", done.out.decode())
    assert plain == "Ein Wort, 一个词, and a word.↵\n→One more word <b>.\n"
    assert "\x1b[" in done.out.decode()


def test_who_gets_colors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "isatty", lambda descriptor: True)

    class Terminal:
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stdout", Terminal())
    assert shows_colors({"TERM": "xterm"})
    assert not shows_colors({"TERM": "xterm", "NO_COLOR": "1"})
    assert not shows_colors({"NO_COLOR": "1", "FORCE_COLOR": "1"})
    assert not shows_colors({"TERM": "dumb"})
    monkeypatch.setattr(sys, "stdout", None)
    assert not shows_colors({"TERM": "xterm"})


@pytest.mark.parametrize(("bits", "kind"), [(0, 0), (0.99, 0), (1, 1), (2, 2), (3.9, 2), (4, 3), (99, 3)])
def test_classes(bits: float, kind: int) -> None:
    assert explain_map.cost_class(bits) == kind


@pytest.mark.parametrize("flags", [[], ["--no-history"]])
def test_json(inside: Callable[..., Outcome], model: Path, flags: list[str]) -> None:
    done = inside("explain", "--json", "text", "--model", model, "--by", "model", *flags)
    (record,) = map(json.loads, done.out.splitlines())
    assert (record["ok"], record["coding"], record["history"]) == (True, "model", not flags)
    assert record["bits"] == pytest.approx(sum(token["bits"] for token in record["tokens"]))
    assert 0 <= 8 * record["payload_bytes"] - record["bits"] < 65
    assert record["payload_bytes"] + record["container_bytes"] == record["compressed_bytes"]
    assert len(record["tokens"]) == len(TEXT)
    first, wide = record["tokens"][0], record["tokens"][10]
    assert (first["text"], first["offset"], len(first["top"])) == ("E", 0, 5)
    assert wide["text"] == "\ufffd"
    assert wide["base64"] == "5A=="
    assert 0 < first["probability"] < 1


def test_the_archive_is_that_of_compress(inside: Callable[..., Outcome], model: Path, folder: Path) -> None:
    (folder / "long").write_bytes(TEXT * 20)
    record = json.loads(inside("explain", "--json", "long", "--model", model).out)
    assert inside("compress", "-q", "long", "--model", model).code == 0
    assert record["compress"]["compressed_bytes"] == (folder / "long.zllm").stat().st_size
    assert record["coding"] == record["compress"]["coding"] == "history"
    assert "rank" not in record["tokens"][0]


def test_a_range_is_a_file_of_its_own(inside: Callable[..., Outcome], model: Path, folder: Path) -> None:
    (folder / "part").write_bytes(TEXT[4:20])
    part = json.loads(inside("explain", "--json", "part", "--model", model).out)
    piped = json.loads(inside("explain", "--json", "--range", "4:20", "-", "--model", model, stdin=TEXT).out)
    cut = json.loads(inside("explain", "--json", "--range", "4:20", "text", "--model", model).out)
    assert cut["tokens"] == piped["tokens"]
    assert [t["bits"] for t in cut["tokens"]] == [t["bits"] for t in part["tokens"]]
    assert cut["tokens"][0]["offset"] == 4
    said = inside("explain", "--range", "4:", "text", "--model", model).out.decode()
    assert f"These are bytes 4 to {len(TEXT) - 1} of the file, coded as a file of their own" in said


def test_page(inside: Callable[..., Outcome], model: Path, folder: Path) -> None:
    done = inside("explain", "text", "--html", "page.html", "--model", model)
    assert (done.code, done.out) == (0, b"")
    assert ". 52 tokens cost " in done.err
    assert "the Transformer tiny with history" in done.err
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    again = inside("explain", "text", "--html", "page.html", "--model", model)
    assert again.error == (1, "zipllm: page.html: already exists, not overwritten (-f overwrites it)\n")
    assert inside("explain", "-qf", "text", "--html", "page.html", "--model", model).error == (0, "")
    assert (folder / "page.html").read_text(encoding="utf-8") == page.replace("explain text", "explain -qf text")
    assert sorted(path.name for path in folder.iterdir() if path.name.startswith(".")) == []


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644])
def test_a_page_is_as_private_as_its_file(inside: Callable[..., Outcome], model: Path, folder: Path, mode: int) -> None:
    (folder / "text").chmod(mode)
    before = os.umask(0o022)
    try:
        assert inside("explain", "-q", "text", "--html", "page.html", "--model", model).code == 0
    finally:
        os.umask(before)
    assert (folder / "page.html").stat().st_mode & 0o777 == mode


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["missing"], 1, "missing: No such file or directory"),
        (["."], 1, ".: is a directory, not a file"),
        (["empty"], 1, "empty: is empty, there is nothing to explain"),
        (["-"], 1, "stdin: is empty, there is nothing to explain"),
        (["archive"], 1, "archive: is an archive (explain takes the original file)"),
        (["text", "--range", "900:"], 1, "text: has no bytes from 900 on"),
        (["text", "--range", "7:7"], 2, "--range 7:7 holds no bytes"),
        (["large"], 5, "large: more than 256 KiB cannot be explained at once; choose a part, such as --range 0:262144"),
        (["text", "--by", "history", "--no-history"], 2, "--by history and --no-history exclude each other"),
        (["text", "--html", "no/page.html"], 1, "no/page.html: its folder does not exist"),
        (["text", "--html", "."], 1, ".: exists and is not a regular file"),
    ],
    ids=str,
)
def test_what_cannot_be_explained(
    inside: Callable[..., Outcome], model: Path, folder: Path, arguments: list[str], code: int, message: str
) -> None:
    (folder / "empty").touch()
    (folder / "archive").write_bytes(ARCHIVE)
    (folder / "large").write_bytes(bytes((256 << 10) + 1))
    assert ARCHIVE.startswith(MAGIC)
    assert inside("explain", *arguments).error == (code, f"zipllm: {message}\n")


def test_no_such_model(inside: Callable[..., Outcome], model: Path) -> None:
    code, message = inside("explain", "text", "--model", "nope").error
    assert code == 4
    assert message.count("\n") == 1


def test_a_failure_as_json(inside: Callable[..., Outcome], model: Path) -> None:
    done = inside("explain", "--json", "missing")
    record = json.loads(done.out)
    assert (done.code, record["ok"], record["command"], record["exit_code"]) == (1, False, "explain", 1)
