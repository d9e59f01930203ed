"""No training on benchmarks by name, by another name or compressed, except for the part set aside."""

import hashlib
import lzma
from pathlib import Path

import pytest

from zipllm.data import permission
from zipllm.data.inputs import Spool, gather, survey
from zipllm.data.local import Places
from zipllm.data.permission import Use, corpus_part, names_corpus
from zipllm.data.registry import Corpus, CorpusFile, corpora
from zipllm.errors import CorruptData, FileError, UsageError

CONTENT = bytes(range(256)) * 20
CLOSED = b"abc" * 100
WEAK = b"weak" * 1000


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reserved corpus, one with a part set aside for training, and one with a weaker digest."""
    monkeypatch.chdir(tmp_path)
    whole = CorpusFile("open", len(CONTENT), hashlib.sha256(CONTENT).hexdigest())
    weak = CorpusFile("weak", len(WEAK), hashlib.md5(WEAK, usedforsecurity=False).hexdigest(), "md5")
    known = {
        "closed": Corpus("closed", "", "", "", "", (CorpusFile("a", len(CLOSED), hashlib.sha256(CLOSED).hexdigest()),)),
        "open": Corpus("open", "", "", "", "", (whole,), train=(0, 4000), valid=(4000, 5000)),
        "weak": Corpus("weak", "", "", "", "", (weak,)),
    }
    monkeypatch.setattr(permission, "corpora", lambda: known)
    Path("data").mkdir()
    Path("data/open.xz").write_bytes(lzma.compress(CONTENT))


def read(argument: str, use: Use = "train") -> bytes:
    spool = Spool(Path("spool"), Places((Path("data"),)))
    (file,) = survey(gather([Path(argument)], use, spool), use)
    content = file.path.read_bytes()
    assert file.sha256 == hashlib.sha256(content).hexdigest()
    assert file.bytes == len(content)
    return content


def test_only_enwik8_has_a_part_set_aside() -> None:
    assert {name: corpus.train for name, corpus in corpora().items() if corpus.train} == {"enwik8": (0, 90_000_000)}
    assert corpora()["enwik8"].valid == (90_000_000, 95_000_000)
    assert all(len(corpus.files) == 1 for corpus in corpora().values() if corpus.train)


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("argument", "part"), [("open[0:4K]", (0, 4000)), ("open[:1K]", (0, 1000)), ("open/open[100:200]", (100, 200))]
)
def test_the_part_set_aside(argument: str, part: tuple[int, int]) -> None:
    assert read(argument) == CONTENT[slice(*part)]


@pytest.mark.usefixtures("registry")
def test_the_part_for_validation() -> None:
    assert read("open[4K:5K]", "valid") == CONTENT[4000:5000]


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize(
    ("argument", "use", "reason"),
    [
        ("closed", "train", "closed: closed is a benchmark, nothing of it may be trained on"),
        ("closed/a", "valid", "nothing of it may be used for validation"),
        ("closed/b", "train", "has no file 'b'"),
        ("open", "train", r"only open\[0:4K\] of it may be trained on"),
        ("open[:]", "train", r"only open\[0:4K\]"),
        ("open[3999:4001]", "train", r"only open\[0:4K\]"),
        ("open[0:1K]", "valid", r"only open\[4K:5K\] of it may be used for validation"),
        ("open[4K:5K]", "train", r"only open\[0:4K\]"),
        ("open[-4K:]", "train", r"only open\[0:4K\]"),
        ("open[2:2]", "train", "empty"),
    ],
)
def test_refused_by_name(argument: str, use: Use, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        read(argument, use)
    assert not Path("spool").exists()


@pytest.mark.usefixtures("registry")
@pytest.mark.parametrize("use", ["train", "valid"])
@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (CLOSED, "mine.xz: is closed/a; closed is a benchmark, nothing"),
        (CONTENT, "is open/open; open is a benchmark, only"),
        (WEAK, "is weak/weak"),
    ],
)
def test_refused_by_content(content: bytes, reason: str, use: Use) -> None:
    Path("mine.xz").write_bytes(lzma.compress(content))
    with pytest.raises(UsageError, match=reason):
        read("mine.xz", use)


@pytest.mark.usefixtures("registry")
def test_a_path_that_exists_is_a_path() -> None:
    assert names_corpus("closed")
    Path("closed").write_bytes(b"my own file")
    assert not names_corpus("closed")
    assert read("closed") == b"my own file"


@pytest.mark.usefixtures("registry")
def test_a_copy_that_is_not_the_corpus_is_no_training_data() -> None:
    Path("data/open.xz").write_bytes(lzma.compress(CONTENT[::-1]))
    with pytest.raises(CorruptData, match="is not open"):
        read("open[0:4K]")
    Path("data/open.xz").unlink()
    with pytest.raises(FileError, match="no local copy"):
        read("open[0:4K]")


def test_enwik8_is_refused_but_for_its_beginning() -> None:
    with pytest.raises(UsageError, match=r"only enwik8\[0:90M\] of it may be trained on"):
        corpus_part("enwik8[85M:95M]", "train")
    assert corpus_part("enwik8[0:90M]", "train")[2] == slice(0, 90_000_000)


def test_a_file_of_one_letter_comes_from_anywhere(tmp_path: Path) -> None:
    assert corpora()["artificial"].files[0].bytes == 1
    (tmp_path / "a").write_bytes(b"a")
    spool = Spool(tmp_path / "spool", Places((tmp_path,)))
    assert [file.bytes for file in survey(gather([tmp_path], "train", spool), "train")] == [1]
