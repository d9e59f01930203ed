"""``zipllm eval``: its numbers are those of archives; JSON, table, marks, warnings, exit codes."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.cli.processes import Outcome
from tests.model_file.conftest import CARD, CONFIG, random_integer_model
from zipllm.cli.bars import file_bar
from zipllm.cli.eval import results as eval_results
from zipllm.container import BlockHeader, scan
from zipllm.data.registry import samples_folder
from zipllm.model_file.card import DataSource
from zipllm.model_file.file import Model, build_model, save_model
from zipllm.tokenizer import ByteTokenizer

Inside = Callable[..., Outcome]
TEXT = b"to be, or not to be, that is the question\n" * 5
HISTORY_FIELDS = {"archive_bytes", "archive_bits_per_byte", "archive_codings"}


@pytest.fixture(scope="module")
def model() -> Model:
    return build_model(CONFIG, ByteTokenizer(), random_integer_model(), CARD)


@pytest.fixture(autouse=True)
def places(folder: Path, tmp_path: Path, model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model ``tiny.safetensors`` and a text ``t``, and no corpora but the samples."""
    monkeypatch.setenv("ZIPLLM_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("ZIPLLM_DATA_DIR", raising=False)
    save_model(model, folder / "tiny.safetensors")
    (folder / "t").write_bytes(TEXT)


def records(done: Outcome) -> list[dict[str, Any]]:
    assert done.code == 0, done.err
    return [json.loads(line) for line in done.out.splitlines()]


@pytest.mark.parametrize("flags", [[], ["--lanes", "3"], ["--level", "9", "--block-size", "3K"]], ids=str)
def test_it_is_the_size_of_the_archive(inside: Inside, folder: Path, flags: list[str]) -> None:
    """With the shipped model, which is better at these texts than what a block would be coded with instead."""
    names = ["english.txt", "code.txt"]
    for name in names:
        (folder / name).write_bytes((samples_folder() / name).read_bytes())
    assert inside("compress", "-q", "--no-history", "--no-verify", "--model", "small", *flags, *names).code == 0
    *files, whole = records(inside("eval", "small", *names, *flags, "--json"))
    payloads = headers = 0
    for name, found in zip(names, files, strict=True):
        archive = folder / f"{name}.zllm"
        with archive.open("rb") as stream:
            blocks = [item.record for item in scan(stream) if isinstance(item.record, BlockHeader)]
        payload = sum(block.payload_size for block in blocks)
        assert {block.coding.name for block in blocks} == {"MODEL"}
        assert abs(payload - found["bits"] / 8) < 0.002 * payload + 8 * len(blocks)
        assert archive.stat().st_size - payload < 120 + 20 * len(blocks)
        assert (found["blocks"], found["lanes"]) == (
            len(blocks),
            sum(block.parameters.lanes for block in blocks if block.parameters),
        )
        payloads, headers = payloads + payload, headers + 8 * len(blocks)
    assert abs(payloads - whole["bits"] / 8) < 0.002 * payloads + headers


def test_history_is_the_archive_of_compress(inside: Inside, folder: Path) -> None:
    names = ("t", "a")
    assert inside("compress", "-q", "--model", "./tiny.safetensors", *names).code == 0
    *files, whole = records(inside("eval", "tiny.safetensors", *names, "--history", "--json"))
    sizes = [(folder / f"{name}.zllm").stat().st_size for name in names]
    assert [found["archive_bytes"] for found in files] == sizes
    assert whole["archive_bytes"] == sum(sizes)
    assert whole["archive_bits_per_byte"] == 8 * sum(sizes) / (len(TEXT) + 5000)
    assert whole["archive_codings"] == {"history": 1, "stored": 1}
    text = inside("eval", "tiny.safetensors", *names, "--history").out.decode()
    assert "archive" in text
    assert f"{8 * sizes[0] / len(TEXT):.4f}" in text


def test_fields_are_those_documented(inside: Inside) -> None:
    done = inside("eval", "tiny.safetensors", "t", "--history", "--json")
    file, whole = records(done)
    words = {line.split("  ")[0].strip() for line in (eval_results.__doc__ or "").splitlines() if "  " in line}
    documented = {name for word in words if word for name in word.replace(" |", ",").split(", ")}
    assert set(file) | {"files"} == documented
    assert set(whole) | {"file"} == documented
    assert done.err == ""
    without = records(inside("eval", "tiny.safetensors", "t", "--json"))[0]
    assert set(file) - set(without) == HISTORY_FIELDS


def test_several_files_and_their_total(inside: Inside, folder: Path, model: Model) -> None:
    (folder / "d").mkdir()
    (folder / "d" / "u.gz").write_bytes(gzip.compress("学而时习之".encode()))
    (folder / "empty").write_bytes(b"")
    one, two, nothing, stdin, whole = records(
        inside("eval", "tiny.safetensors", "t", "d", "empty", "-", "--json", stdin=b"x y\xff")
    )
    assert [found["file"] for found in (one, two, nothing, stdin)] == ["t", "d/u.gz", "empty", "-"]
    assert whole["files"] == 4
    assert (one["raw_bytes"], one["words"], one["valid_utf8"]) == (len(TEXT), 50, True)
    assert (two["raw_bytes"], two["characters"], two["words"], two["tokens"]) == (15, 5, 1, 15)
    assert (stdin["characters"], stdin["words"], stdin["valid_utf8"], whole["valid_utf8"]) == (4, 2, False, False)
    assert {nothing[name] for name in ("bits_per_byte", "perplexity", "word_perplexity")} == {None}
    assert whole["bits"] == pytest.approx(one["bits"] + two["bits"] + stdin["bits"])
    assert whole["bits_per_byte"] == pytest.approx(whole["bits"] / (len(TEXT) + 19))
    assert {found["model_id"] for found in (one, whole)} == {model.model_id.hex()}
    assert {found["model"] for found in (one, whole)} == {"tiny"}


def test_the_table(inside: Inside, folder: Path) -> None:
    (folder / "[b]\x1b[31m").write_bytes(b"\xff" * 30)
    found = records(inside("eval", "tiny.safetensors", "t", "--json"))[0]
    done = inside("eval", "tiny.safetensors", "t", "[b]\x1b[31m", "-", "--limit", "100")
    assert (done.code, done.err) == (0, "")
    text = done.out.decode()
    assert "\x1b" not in text
    for expected in (
        "t…",
        r"[b]\x1b[31m‡",
        "stdin",
        "all 3 files",
        "only the first 100 B",
        "not all of it is UTF-8",
    ):
        assert expected in text
    assert f"{found['bits_per_byte']:.4f}" in inside("eval", "tiny.safetensors", "t").out.decode()
    assert " all " not in inside("eval", "tiny.safetensors", "t").out.decode()


def test_the_context_is_stated(inside: Inside) -> None:
    flags = ("--level", "9", "--block-size", "64K")
    text = " ".join(inside("eval", "tiny.safetensors", "t", *flags).out.decode().split())
    assert "Blocks of up to 64 KiB" in text
    assert "one below 32 KiB, then one per 16 KiB, at most 8." in text
    context = records(inside("eval", "tiny.safetensors", "t", *flags, "--json"))[0]["context"]
    assert context == {"block_size": 65536, "lanes": None, "max_lanes": 8, "window": CONFIG.window, "limit": None}
    assert "each cut into 3 lanes." in inside("eval", "tiny.safetensors", "t", "--lanes", "3").out.decode()


def test_quiet(inside: Inside) -> None:
    assert inside("eval", "tiny.safetensors", "t", "-qq").out == b""
    assert len(records(inside("eval", "tiny.safetensors", "t", "-qq", "--json"))) == 2


def test_data_the_model_has_learned_from(inside: Inside, folder: Path, model: Model) -> None:
    card = replace(CARD, sources=(DataSource("T.txt", "CC0-1.0", 5),))
    save_model(replace(model, card=card), folder / "learned.safetensors")
    (folder / "sub").mkdir()
    (folder / "sub" / "t").write_bytes(TEXT)
    done = inside("eval", "learned.safetensors", "sub/t", "a")
    assert done.code == 0
    assert done.err == "zipllm: warning: sub/t: the model's card names 't' among its training data\n"
    assert "sub/t†" in done.out.decode()
    assert "no fair test" in done.out.decode()
    file, other, whole = records(inside("eval", "learned.safetensors", "sub/t", "a", "--json"))
    assert (file["contaminated"] != "", other["contaminated"]) == (True, "")
    assert whole["contaminated"] == [file["contaminated"]]


def test_corpora_and_slices(inside: Inside, folder: Path) -> None:
    found = records(inside("eval", "tiny.safetensors", "samples/english.txt[0:100]", "t[:7]", "--json"))
    assert [(each["file"], each["raw_bytes"]) for each in found[:2]] == [
        ("samples/english.txt[0:100]", 100),
        ("t[:7]", 7),
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("no-such-model", "t"), 4, "no model called 'no-such-model'"),
        (("./t.safetensors", "t"), 4, "there is no model file"),
        (("a.safetensors", "t"), 4, "model file 'a.safetensors'"),
        (("tiny.safetensors", "gone"), 2, "'gone' is neither a file nor a corpus"),
        (("tiny.safetensors", "canterbury"), 1, "zipllm data fetch canterbury"),
        (("tiny.safetensors", "t", "t"), 2, "t is named twice"),
        (("tiny.safetensors", "bad.xz"), 3, "bad.xz: not a whole .xz file"),
        (("tiny.safetensors",), 2, "DATA"),
        (("tiny.safetensors", "t", "--limit", "many"), 2, "--limit"),
        (("tiny.safetensors", "t", "--limit", "0"), 2, "--limit must leave a byte"),
        (("tiny.safetensors", "t", "--block-size", "17M"), 2, "block_size must be"),
        (("tiny.safetensors", "t", "--lanes", "5000"), 2, "lanes must be 1 to"),
    ],
)
def test_wrong_use(inside: Inside, folder: Path, arguments: tuple[str, ...], code: int, message: str) -> None:
    (folder / "bad.xz").write_bytes(b"not this")
    (folder / "a.safetensors").write_bytes(b"not a model, and too long to be one")
    done = inside("eval", *arguments)
    assert (done.code, done.out) == (code, b"")
    assert message in done.err
    assert done.err.count("\n") == 1


def test_nothing_is_left_behind(inside: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    before = {path.name for path in tmp_path.iterdir()} | {"stdin"}
    assert inside("eval", "tiny.safetensors", "t").code == 0
    assert inside("eval", "tiny.safetensors", "gone").code == 2
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_bar_only_on_a_terminal(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    def bar(name: str, total: int) -> Any:
        shown.append(f"{name} {total}")
        return file_bar(name, total)

    monkeypatch.setattr("zipllm.cli.bars.file_bar", bar)
    assert inside("eval", "tiny.safetensors", "t").code == 0
    assert shown == []
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    assert inside("eval", "tiny.safetensors", "t", "--no-progress").code == 0
    assert shown == []
    assert inside("eval", "tiny.safetensors", "t").code == 0
    assert shown == [f"t {len(TEXT)}"]
