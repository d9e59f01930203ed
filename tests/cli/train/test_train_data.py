"""``zipllm train``: what data it takes, what it refuses, and that a benchmark knows what a model was trained on."""

import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.processes import Outcome
from zipllm.data.registry import samples_folder

Inside = Callable[..., Outcome]
LINES = b"".join(b"%06d INFO request %d served\n" % (number, number * 7919 % 1000) for number in range(2000))
QUICK = ("--preset", "nano", "--vocabulary", "256", "--compile", "off", "--steps", "2", "-T", "1")
BENCH = ("--codecs", "gzip,zipllm:own.safetensors", "-T", "1")


@pytest.fixture
def data(folder: Path) -> Path:
    for name, content in {
        "hidden/.secret": LINES,
        "tiny.log": b"one line\n",
        "empty.log": b"",
        "cut.gz": gzip.compress(LINES)[:-9],
        "not.gz": LINES,
        "mine.log": (samples_folder() / "server.log").read_bytes(),
        "deep/er/sample.log.gz": gzip.compress((samples_folder() / "server.log").read_bytes()),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    (folder / "nothing").mkdir()
    os.mkfifo(folder / "pipe")
    return folder


@pytest.mark.parametrize(
    ("argument", "code", "message"),
    [
        ("nothing", 1, "no files in nothing (hidden files, models and training runs do not count)"),
        ("hidden", 1, "no files in hidden (hidden files, models and training runs do not count)"),
        ("missing*.log", 1, "missing*.log: no file matches this pattern"),
        ("pipe", 1, "pipe: is not a regular file (- reads standard input)"),
        ("tiny.log", 2, "data has 9 tokens to train on, fewer than one window of 512: about 512 bytes of such data"),
        ("empty.log", 2, "there is no training data: every source is empty"),
        ("-", 2, "there is no training data: every source is empty"),
        ("cut.gz", 3, "cut.gz: not a whole .gz file ("),
        ("not.gz", 3, "not.gz: not a whole .gz file ("),
        ("canterbury", 2, "canterbury: canterbury is a benchmark, nothing of it may be trained on"),
        ("enwik8", 2, "enwik8: enwik8 is a benchmark, only enwik8[0:90M] of it may be trained on"),
        ("mine.log", 2, "mine.log: is samples/server.log; samples is a benchmark, nothing of it may be trained on"),
        ("deep", 2, "deep/er/sample.log.gz: is samples/server.log; "),
    ],
)
def test_wrong_data_is_one_clear_line_and_leaves_nothing(
    inside: Inside, data: Path, argument: str, code: int, message: str
) -> None:
    before = sorted(data.rglob("*"))
    done = inside("train", argument, "-o", "m.safetensors", *QUICK)
    assert done.code == code
    assert done.err.startswith(f"zipllm: {message}")
    assert done.err.count("\n") == 1
    assert sorted(data.rglob("*")) == before


def test_a_compressed_file_and_standard_input_have_a_limit_of_their_own(
    inside: Inside, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (data / "whole.gz").write_bytes(gzip.compress(LINES))
    done = inside("train", "whole.gz", "-o", "m.safetensors", "--max-input", "10K", *QUICK)
    assert (done.code, done.err) == (
        5,
        "zipllm: whole.gz: unpacks to more than the 10,240 bytes allowed for one file\n",
    )


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_a_file_that_cannot_be_read(inside: Inside, data: Path) -> None:
    (data / "tiny.log").chmod(0)
    done = inside("train", "tiny.log", "-o", "m.safetensors", *QUICK)
    assert (done.code, done.err) == (1, "zipllm: tiny.log: Permission denied\n")


@pytest.mark.slow
def test_the_benchmark_knows_what_a_model_was_trained_on(
    inside: Inside, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZIPLLM_KERNELS", "reference")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (folder / "logs").mkdir()
    (folder / "logs/seen.log.gz").write_bytes(gzip.compress(LINES[:3000]))
    (folder / "seen.log").write_bytes(LINES[:3000])
    (folder / "new.log").write_bytes(LINES[3000:3500])
    done = inside("train", "logs/*.gz", "-o", "own.safetensors", *QUICK)
    assert done.code == 0, done.err
    done = inside("bench", "seen.log", "new.log", *BENCH, "--json", "rows.jsonl")
    assert done.code == 0, done.err
    reason = "the model's card names this file's SHA-256 among its training data"
    assert f"zipllm: warning: zipllm:own.safetensors on seen.log: {reason}\n" in done.err
    assert done.err.count("warning") == 1
    rows = {
        (row["file"], row["codec"]): row for row in map(json.loads, (folder / "rows.jsonl").read_text().splitlines())
    }
    assert [name for name, row in rows.items() if row["contaminated"]] == [("seen.log", "zipllm:own.safetensors")]
