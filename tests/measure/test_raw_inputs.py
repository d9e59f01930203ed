"""What ``zipllm eval`` reads: packed files unpacked, slices of their content, limits, standard input, corpora."""

import bz2
import gzip
import hashlib
import io
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from tests.data.test_reading import long_zst
from zipllm.data.local import Places
from zipllm.data.registry import Corpus, CorpusFile
from zipllm.data.unpack import UnpackLimits
from zipllm.errors import CorruptData, FileError, LimitExceeded, UsageError
from zipllm.measure.raw_inputs import RawInput, prepare_raw

CONTENT = bytes(range(256)) * 20
PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".bz2": bz2.compress,
    ".zst": zstandard.compress,
    "": bytes,
}
Prepare = Callable[..., list[RawInput]]


@pytest.fixture
def prepare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Prepare:
    """Inputs from a folder with packed files and a small registry."""
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    digest = hashlib.sha256(CONTENT).hexdigest()
    pair = tuple(CorpusFile(name, len(CONTENT), digest) for name in "ab")
    known = {"pair": Corpus("pair", "", "", "", "", pair), "single": Corpus("single", "", "", "", "", pair[:1])}
    monkeypatch.setattr("zipllm.bench.inputs.corpora", lambda: known)
    for suffix, pack in PACK.items():
        Path(f"file{suffix}").write_bytes(pack(CONTENT))

    def call(*arguments: str, limit: int | None = None, stdin: bytes = b"", **window: int) -> list[RawInput]:
        target = tmp_path / "target"
        target.mkdir(exist_ok=True)
        unpacking = UnpackLimits(**window)
        return prepare_raw(arguments, Places((Path("data"),)), target, lambda: io.BytesIO(stdin), limit, unpacking)

    return call


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize(
    ("slice_text", "part"),
    [("", slice(None)), ("[1K:2K]", slice(1000, 2000)), ("[4K:]", slice(4000, None)), ("[-120:]", slice(-120, None))],
)
@pytest.mark.parametrize("limit", [None, 1, 120, 1000, 5119, 5120, 9000])
def test_content(prepare: Prepare, suffix: str, slice_text: str, part: slice, limit: int | None) -> None:
    (raw,) = prepare(f"./file{suffix}{slice_text}", limit=limit)
    wanted = CONTENT[part]
    assert raw.item.path.read_bytes() == wanted[:limit]
    assert raw.item.raw_bytes == len(wanted[:limit])
    assert raw.item.sha256 == hashlib.sha256(wanted[:limit]).hexdigest()
    assert raw.cut == (limit is not None and limit < len(wanted))
    assert (raw.name, raw.item.file) == (f"file{suffix}{slice_text}", f"file{suffix}{slice_text}")


@pytest.mark.parametrize("argument", ["long.zst", "long.zst[1K:2K]"])
def test_a_long_window_is_taken_if_asked_for(prepare: Prepare, argument: str) -> None:
    Path("long.zst").write_bytes(long_zst(CONTENT))
    with pytest.raises(LimitExceeded, match="--max-window allows more"):
        prepare(argument)
    (raw,) = prepare(argument, window=1 << 28)
    assert raw.item.path.read_bytes() in (CONTENT, CONTENT[1000:2000])


def test_empty(prepare: Prepare) -> None:
    Path("nothing.gz").write_bytes(gzip.compress(b""))
    assert [(raw.item.raw_bytes, raw.cut) for raw in prepare("nothing.gz", "-", limit=10)] == [(0, False), (0, False)]


@pytest.mark.parametrize(("limit", "cut"), [(None, False), (4, True), (5, False)])
def test_standard_input(prepare: Prepare, limit: int | None, cut: bool) -> None:
    (raw,) = prepare("-", limit=limit, stdin=b"12345")
    assert (raw.name, raw.item.path.read_bytes(), raw.cut) == ("-", b"12345"[:limit], cut)


@pytest.mark.parametrize("argument", ["./-", "./-[1:3]"])
def test_a_file_called_dash(prepare: Prepare, argument: str) -> None:
    Path("-").write_bytes(b"file")
    (raw,) = prepare(argument, stdin=b"standard input")
    assert (raw.name, raw.item.path.read_bytes()) == (argument, b"file" if argument == "./-" else b"il")


@pytest.mark.timeout(20)
def test_an_endless_input_is_read_no_further_than_its_limit(prepare: Prepare) -> None:
    (raw,) = prepare("/dev/zero", limit=3_000_000)
    assert (raw.item.raw_bytes, raw.cut) == (3_000_000, True)


@pytest.mark.parametrize(
    ("argument", "limit", "part", "cut"),
    [
        ("pair/a", None, slice(None), False),
        ("pair/a", 100, slice(0, 100), True),
        ("pair/b[1K:2K]", 100, slice(1000, 1100), True),
        ("single[-120:]", 120, slice(-120, None), False),
    ],
)
def test_corpora(prepare: Prepare, argument: str, limit: int | None, part: slice, cut: bool) -> None:
    for place in ("data/pair", "data/single"):
        Path(place).mkdir(parents=True)
        for name in "ab":
            Path(place, name).write_bytes(CONTENT)
    (raw,) = prepare(argument, limit=limit)
    assert (raw.item.path.read_bytes(), raw.cut) == (CONTENT[part], cut)
    assert raw.name == argument.replace("single", "a")


def test_a_corpus_is_checked_behind_the_limit(prepare: Prepare) -> None:
    Path("data/pair").mkdir(parents=True)
    Path("data/pair/a").write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(CorruptData):
        prepare("pair/a", limit=1)


def test_equal_names_in_different_folders(prepare: Prepare) -> None:
    for folder in ("x", "y"):
        Path(folder).mkdir()
        Path(folder, "z").write_bytes(folder.encode())
    assert [raw.name for raw in prepare("x", "y/z")] == ["x/z", "y/z"]


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        (("nothing",), UsageError, "neither a file nor a corpus"),
        (("file", "./file"), UsageError, "file is named twice"),
        (("-", "-"), UsageError, "- is named twice"),
        (("file.gz[5K:6K]",), UsageError, "5120 bytes"),
        (("file.gz[6K:]",), UsageError, "5120 bytes"),
        (("pair",), FileError, "no local copy"),
        (("broken.gz",), CorruptData, r"broken\.gz: not a whole \.gz file"),
        (("broken.zst[0:1K]",), CorruptData, r"broken\.zst: not a whole \.zst file"),
    ],
)
def test_wrong_arguments(prepare: Prepare, arguments: tuple[str, ...], kind: type[Exception], message: str) -> None:
    for suffix in (".gz", ".zst"):
        Path(f"broken{suffix}").write_bytes(PACK[suffix](CONTENT)[:-9])
    with pytest.raises(kind, match=message):
        prepare(*arguments)
