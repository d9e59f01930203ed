"""What becomes of the data: tokens on two sides, nothing read twice, nothing left of a preparation that failed."""

import gzip
import hashlib
import json
import os
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from zipllm.data.local import Places
from zipllm.data.unpack import UnpackLimits
from zipllm.errors import CorruptData, FileError, LimitExceeded, UsageError, ZipllmError
from zipllm.tokenizer import train_bpe
from zipllm.train import corpus as module
from zipllm.train import run_folder
from zipllm.train.corpus import Corpus, DataOptions, Source, data_sources, open_corpus, prepare_corpus
from zipllm.train.vocabulary import load_tokenizer

LINES = b"".join(b"%06d the cat sat on the mat %d\n" % (number, number * 7919 % 1000) for number in range(3000))
BYTES = DataOptions(256, sequence=64, places=Places((Path("nowhere"),)))


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.log").write_bytes(LINES)
    return tmp_path


def prepare(*paths: str, options: DataOptions = BYTES, valid: tuple[str, ...] = (), resume: bool = False) -> Corpus:
    held = data_sources(valid, "valid")
    with run_folder.held(Path("runs/x")):
        return prepare_corpus(Path("runs/x"), data_sources(paths), held, options, resume=resume)


def raw(corpus: Corpus, side: str) -> bytes:
    return b"".join(corpus.tokenizer.decode(source.tokens.tolist()) for source in getattr(corpus, side))


# --------------------------------------------------------------------------- the two sides
def test_every_byte_is_on_one_side() -> None:
    corpus = prepare("a.log")
    train, valid = raw(corpus, "train"), raw(corpus, "valid")
    assert len(train) + len(valid) == len(LINES)
    assert sorted((train + valid).splitlines()) == sorted(LINES.splitlines())
    assert 64 <= len(valid) < len(LINES) // 5
    assert not corpus.notes


def test_copies_of_a_document_are_on_one_side() -> None:
    for number in range(300):
        for copy in ("x", "y", "z"):
            Path(f"d/{copy}{number}").parent.mkdir(exist_ok=True)
            Path(f"d/{copy}{number}").write_bytes(b"document %06d of many, each of them there three times\n" % number)
    corpus = prepare("d")
    train, valid = (set(raw(corpus, side).splitlines()) for side in ("train", "valid"))
    assert valid
    assert len(train | valid) == 300
    assert not train & valid
    assert len(raw(corpus, "valid").splitlines()) == 3 * len(valid)


@pytest.mark.parametrize("seed", range(5))
def test_a_hundredth_of_a_log_is_held_back_at_least(seed: int) -> None:
    lines = b"".join(b"%d line %d\n" % (seed, number) for number in range(80_000))
    Path("long.log").write_bytes(lines)
    held = len(raw(prepare("long.log"), "valid"))
    assert len(lines) / 100 <= held <= len(lines) / 12


def test_own_validation_data_leaves_all_for_training() -> None:
    Path("held").write_bytes(b"something else\n" * 100)
    corpus = prepare("a.log", valid=("held",))
    assert raw(corpus, "train") == LINES
    assert raw(corpus, "valid") == b"something else\n" * 100
    assert [source.name for source in corpus.valid] == ["valid"]


def test_data_too_small_to_hold_back_is_said() -> None:
    Path("small").write_bytes(LINES[:200])
    corpus = prepare("small")
    assert corpus.valid == []
    (note,) = corpus.notes
    assert note.startswith("no validation data of data: less than one window of 64 tokens")


def test_binary_data_trains_and_bytes_are_suggested() -> None:
    Path("binary").write_bytes(np.random.default_rng(0).bytes(20_000))
    assert not prepare("binary").notes
    (note,) = prepare("binary", options=DataOptions(300, sequence=64)).notes
    assert "--vocabulary 256" in note


def test_runs_among_the_data_are_passed_over_and_named() -> None:
    Path("logs/old").mkdir(parents=True)
    Path("logs/old/.zipllm-run").touch()
    Path("logs/old/metrics.jsonl").write_bytes(LINES)
    Path("logs/a.log").write_bytes(LINES)
    assert prepare("logs").notes == ("training runs and models are no data and are passed over: logs/old",)


# --------------------------------------------------------------------------- what may be named
def test_compressed_files_patterns_and_digests() -> None:
    Path("logs/deep").mkdir(parents=True)
    Path("logs/deep/one.log.gz").write_bytes(gzip.compress(LINES[:9000]))
    Path("logs/two.log.gz").write_bytes(gzip.compress(LINES[9000:]))
    Path("logs/other.txt").write_bytes(b"not meant\n" * 100)
    corpus = prepare("logs/**/*.log.gz", "logs/two.log.gz")
    assert len(raw(corpus, "train") + raw(corpus, "valid")) == len(LINES)
    assert corpus.digests == {"data": tuple(hashlib.sha256(part).hexdigest() for part in (LINES[9000:], LINES[:9000]))}


def test_standard_input_is_read_once(feed: Callable[[bytes], None]) -> None:
    feed(LINES)
    corpus = prepare("-")
    assert len(raw(corpus, "train") + raw(corpus, "valid")) == len(LINES)
    assert corpus.digests == {"data": (hashlib.sha256(LINES).hexdigest(),)}
    feed(b"")
    assert prepare("-", resume=True).digests == corpus.digests
    assert not Path("runs/x/input").exists()


def test_standard_input_is_kept_when_preparing_is_interrupted(
    feed: Callable[[bytes], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_arguments: object) -> None:
        raise KeyboardInterrupt

    feed(LINES)
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(module, "write_tokens", interrupt)
        prepare("-")
    feed(b"")
    corpus = prepare("-", resume=True)
    assert len(raw(corpus, "train") + raw(corpus, "valid")) == len(LINES)


def test_standard_input_has_a_limit(feed: Callable[[bytes], None]) -> None:
    feed(LINES)
    with pytest.raises(LimitExceeded, match="standard input: more than the 1,000 bytes"):
        prepare("-", options=DataOptions(256, sequence=64, limits=UnpackLimits(1000)))
    assert not Path("runs").exists()


# --------------------------------------------------------------------------- going on
def test_a_run_that_goes_on_reads_nothing_again() -> None:
    first = prepare("a.log")
    Path("a.log").unlink()
    again = prepare("a.log", resume=True)
    assert raw(again, "train") == raw(first, "train")
    assert raw(open_corpus(Path("runs/x")), "valid") == raw(first, "valid")


def test_a_run_does_not_go_on_with_other_data() -> None:
    prepare("a.log")
    Path("b.log").write_bytes(LINES)
    with pytest.raises(UsageError, match=r"another training data.*--run"):
        prepare("b.log", resume=True)
    with pytest.raises(UsageError, match="another vocabulary: 256, not 300"):
        prepare("a.log", options=DataOptions(300, sequence=64), resume=True)


def test_a_new_run_does_not_use_what_an_earlier_one_left() -> None:
    prepare("a.log")
    Path("b.log").write_bytes(b"other lines\n" * 1000 + LINES)
    assert b"other lines" in raw(prepare("b.log"), "train")


@pytest.mark.parametrize("name", ["data.json", "tokenizer.json", "tokens/train-data.bin"])
def test_damage_in_the_folder_is_a_file_error(name: str) -> None:
    prepare("a.log")
    with pytest.raises(FileError, match="no prepared data"):
        open_corpus(Path("elsewhere"))
    path = Path("runs/x") / name
    path.write_bytes(path.read_bytes()[:7])
    with pytest.raises(FileError, match="runs/x"):
        open_corpus(Path("runs/x"))


# --------------------------------------------------------------------------- what goes wrong
def test_too_little_says_how_much_is_needed() -> None:
    Path("tiny").write_bytes(b"0123456789" * 3)
    with pytest.raises(UsageError, match=r"30 tokens .* fewer than one window of 64: about 64 bytes"):
        prepare("tiny")
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("content", "name", "error"),
    [
        (gzip.compress(LINES)[:-9], "cut.gz", CorruptData),
        (b"", "empty", UsageError),
        (gzip.compress(bytes(200_000)), "bomb.gz", LimitExceeded),
    ],
)
def test_nothing_is_left_of_a_failure(content: bytes, name: str, error: type[ZipllmError]) -> None:
    Path(name).write_bytes(content)
    with pytest.raises(error):
        prepare(name, options=DataOptions(256, sequence=64, limits=UnpackLimits(150_000)))
    assert not Path("runs").exists()


def test_a_full_disk_leaves_nothing() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, hard))  # the tokens of LINES need more
    try:
        with pytest.raises(FileError, match="cannot prepare runs/x: File too large"):
            prepare("a.log")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not Path("runs").exists()


def test_the_folder_of_an_earlier_run_stays_when_preparing_fails() -> None:
    Path("runs/x").mkdir(parents=True)
    Path("runs/x/metrics.jsonl").write_text("{}")
    with pytest.raises(FileError):
        prepare("missing")
    assert set(os.listdir("runs/x")) == {".zipllm-run", "metrics.jsonl"}


# --------------------------------------------------------------------------- tokenizers
def test_a_tokenizer_is_taken_over() -> None:
    learned = train_bpe([LINES], 300)
    Path("tokenizer.json").write_text(json.dumps(learned.to_dict()))
    given = load_tokenizer("tokenizer.json")
    corpus = prepare("a.log", options=DataOptions(0, tokenizer=given, sequence=64))
    assert corpus.tokenizer.vocabulary == learned.vocabulary
    assert len(raw(corpus, "train") + raw(corpus, "valid")) == len(LINES)
    assert load_tokenizer("runs/x/tokenizer.json").to_dict() == learned.to_dict()


def test_the_tokenizer_of_the_shipped_model() -> None:
    assert len(load_tokenizer("small").vocabulary) == 8192


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[]", "not an object"),
        (b"{", "not valid JSON"),
        (b'{"type": "word"}', "unknown tokenizer type"),
        (b"\xff", ""),
    ],
)
def test_wrong_tokenizers(content: bytes, reason: str) -> None:
    Path("t.json").write_bytes(content)
    with pytest.raises(FileError, match=f"t.json is not a tokenizer.*{reason}"):
        load_tokenizer("t.json")
    with pytest.raises(FileError, match="No such file"):
        load_tokenizer("none.json")


def test_arguments_become_one_source_and_one_for_each_corpus() -> None:
    assert data_sources(["a.log", "b/*.gz", "-", "enwik8[0:1M]"]) == (
        Source("data", (Path("a.log"), Path("b/*.gz"), Path("-"))),
        Source("enwik8", (Path("enwik8[0:1M]"),), licence="GFDL-1.2 or CC-BY-SA-3.0"),
    )
