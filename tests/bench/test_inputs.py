"""Arguments that name corpora, slices, files and folders, and the refusal of wrong copies."""

import hashlib
import lzma
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from zipllm.bench.environment import environment
from zipllm.bench.inputs import BenchInput, prepare_inputs
from zipllm.data import registry
from zipllm.data.local import Places
from zipllm.data.registry import Corpus, CorpusFile
from zipllm.errors import CorruptData, FileError, UsageError

CONTENT = bytes(range(256)) * 20
Prepare = Callable[..., list[BenchInput]]


@pytest.fixture
def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """Prepares inputs from a folder ``data`` with a small registry."""
    monkeypatch.chdir(tmp_path)
    digest = hashlib.sha256(CONTENT).hexdigest()
    files = (CorpusFile("a", len(CONTENT), digest), CorpusFile("b", len(CONTENT), digest))
    known = {
        "pair": Corpus("pair", "", "", "", "", files),
        "single": Corpus("single", "", "", "", "", (CorpusFile("single", len(CONTENT), digest),)),
        "samples": registry.corpora()["samples"],
    }
    monkeypatch.setattr("zipllm.bench.inputs.corpora", lambda: known)
    (tmp_path / "data").mkdir()

    def call(*arguments: str) -> list[BenchInput]:
        target = tmp_path / f"target{len(os.listdir(tmp_path))}"
        target.mkdir()
        return prepare_inputs(arguments, Places((tmp_path / "data",)), target)

    return call


def put(path: str, content: bytes = CONTENT) -> None:
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_bytes(lzma.compress(content) if path.endswith(".xz") else content)


@pytest.mark.parametrize("layout", ["data/pair/{}", "data/pair/{}.xz", "data/bench/pair/{}.xz"])
def test_layouts(prepare: Prepare, layout: str) -> None:
    put(layout.format("a"))
    put(layout.format("b"))
    found = prepare("pair")
    assert [(item.corpus, item.file, item.raw_bytes) for item in found] == [("pair", "a", 5120), ("pair", "b", 5120)]
    assert {item.path.read_bytes() for item in found} == {CONTENT}
    assert {item.sha256 for item in found} == {hashlib.sha256(CONTENT).hexdigest()}


@pytest.mark.parametrize("place", ["data/single", "data/bench/single.xz", "data/single/single"])
def test_a_corpus_of_one_file(prepare: Prepare, place: str) -> None:
    put(place)
    assert prepare("single")[0].path.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("argument", "part"),
    [
        ("single[1K:2K]", slice(1000, 2000)),
        ("single[4K:]", slice(4000, None)),
        ("single[:10]", slice(None, 10)),
        ("single[-120:]", slice(-120, None)),
        ("pair/b[5000:5120]", slice(5000, 5120)),
    ],
)
def test_slices_count_in_thousands(prepare: Prepare, argument: str, part: slice) -> None:
    put("data/single")
    put("data/pair/b")
    (item,) = prepare(argument)
    assert item.path.read_bytes() == CONTENT[part]
    assert item.file == argument.removeprefix("pair/")
    assert item.sha256 == hashlib.sha256(CONTENT[part]).hexdigest()
    assert item.whole_sha256 == hashlib.sha256(CONTENT).hexdigest()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (CONTENT[:-1], "5119 bytes instead of 5120"),
        (CONTENT + b"x", "more than 5120 bytes"),
        (CONTENT[:-1] + b"\0", "its sha256 is"),
    ],
)
@pytest.mark.parametrize("place", ["data/single", "data/single.xz"])
def test_damage_is_refused_by_size_and_digest(prepare: Prepare, place: str, content: bytes, message: str) -> None:
    put(place, content)
    with pytest.raises(CorruptData, match=message):
        prepare("single[:10]")


def test_a_truncated_archive(prepare: Prepare) -> None:
    put("data/single.xz")
    path = Path("data/single.xz")
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(CorruptData, match=r"not a whole \.xz file"):
        prepare("single")


def test_a_right_copy_is_found_behind_a_wrong_one(prepare: Prepare) -> None:
    put("data/single", b"wrong")
    put("data/bench/single.xz")
    assert prepare("single")[0].path.read_bytes() == CONTENT


def test_files_and_folders(prepare: Prepare) -> None:
    put("folder/x/y", b"1")
    put("folder/z", b"22")
    put("file", b"333")
    assert [(item.corpus, item.file) for item in prepare("folder", "./file[1:]")] == [
        ("folder", "x/y"),
        ("folder", "z"),
        ("files", "file[1:]"),
    ]
    assert prepare("file[1:]")[0].path.read_bytes() == b"33"


@pytest.mark.parametrize(
    ("argument", "kind", "message"),
    [
        ("nothing", UsageError, "neither a file nor a corpus"),
        ("pair/c", UsageError, "has no file 'c'"),
        ("single[9K:]", UsageError, "5120 bytes"),
        ("single[0:9K]", UsageError, "5120 bytes"),
        ("pair", FileError, r"no local copy \(zipllm data fetch pair"),
    ],
)
def test_wrong_arguments(prepare: Prepare, argument: str, kind: type[Exception], message: str) -> None:
    put("data/single")
    with pytest.raises(kind, match=message):
        prepare(argument)


def test_twice_is_a_mistake(prepare: Prepare) -> None:
    put("file", b"1")
    with pytest.raises(UsageError, match="named twice"):
        prepare("file", "./file")


def test_the_environment_tells_no_paths() -> None:
    found = environment(
        ["/home/somebody/secret/file", "--json=/home/somebody/rows", "--codecs", "gzip,xz", "../../x/y"]
    )
    assert found["command"] == "zipllm bench file --json=rows --codecs gzip,xz y"
    for name in ("cpu", "cores", "threads", "gpu", "os", "python", "versions", "git_commit", "date", "zipllm"):
        assert name in found
    assert environment(["1"], program="other")["command"] == "other 1"
    assert os.uname().nodename not in str(found.values())
