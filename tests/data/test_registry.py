"""The registry, the bundled samples, and fetching from a server on this machine."""

import hashlib
import http.server
import io
import re
import tarfile
import threading
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from zipllm.data import fetch
from zipllm.data.fetch import fetch_corpus, missing_files, open_https
from zipllm.data.local import Places, copy_verified, find_copies
from zipllm.data.registry import Corpus, CorpusFile, corpora, find_corpus, samples_folder
from zipllm.errors import CorruptData, FileError, LimitExceeded, UsageError

NAMES = {"samples", "canterbury", "large", "artificial", "calgary", "silesia", "enwik8", "enwik9", "text8"}
A, B = b"alpha" * 1000, b"beta" * 500


# --------------------------------------------------------------------------- the list
def test_every_corpus_says_what_it_is() -> None:
    assert set(corpora()) == NAMES
    for corpus in corpora().values():
        assert corpus.licence
        assert corpus.citation
        assert corpus.url.startswith("https://") or corpus.name == "samples"
        for file in corpus.files:
            assert re.fullmatch("[0-9a-f]{64}" if file.algorithm == "sha256" else "[0-9a-f]{32}", file.digest)
            assert "/" not in file.name
    assert sum(file.bytes for file in find_corpus("canterbury").files) == 2_810_784
    assert sum(file.bytes for file in find_corpus("calgary").files) == 3_251_493
    for name, message in (("folder", "known: samples"), ("enwik", "did you mean 'enwik"), ("Silesia", "'silesia'")):
        with pytest.raises(UsageError, match=f"no corpus called '{name}'.*{message}"):
            find_corpus(name)


def test_samples_are_whole_small_and_have_a_licence() -> None:
    corpus = find_corpus("samples")
    for file in corpus.files:
        copy_verified(samples_folder() / file.name, file)
        assert f"`{file.name}`" in (samples_folder() / "NOTICE.md").read_text(encoding="utf-8")
    assert corpus.bytes <= 256 << 10
    assert len({Path(file.name).stem for file in corpus.files}) == 5


def test_places(tmp_path: Path) -> None:
    places = Places.default(tmp_path / "named", {"ZIPLLM_DATA_DIR": "/data", "ZIPLLM_CACHE": "/cache"})
    assert places.folders == (tmp_path / "named", Path("/data"), Path("/cache/corpora"))


# --------------------------------------------------------------------------- fetching
def file(name: str, content: bytes) -> CorpusFile:
    return CorpusFile(name, len(content), hashlib.sha256(content).hexdigest())


CORPUS = Corpus("both", "", "", "", "https://example.org/both.tar.gz", (file("a", A), file("b", B)))


def tar(members: dict[str, bytes]) -> bytes:
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return sink.getvalue()


def opener(content: bytes) -> fetch.Opener:
    return lambda url: io.BytesIO(content)


def offline(url: str) -> BinaryIO:
    raise urllib.error.URLError("no network")


def store(tmp_path: Path) -> Places:
    return Places((tmp_path / "store",))


def test_fetching(tmp_path: Path) -> None:
    folder = fetch_corpus(CORPUS, store(tmp_path), opener=opener(tar({"deep/a": A, "b": B})))
    assert (folder / "a").read_bytes() == A
    assert sorted(path.name for path in folder.iterdir()) == ["a", "b"]
    assert missing_files(CORPUS, store(tmp_path)) == []
    fetch_corpus(CORPUS, store(tmp_path), opener=offline)  # what is here is not fetched again


def test_only_what_is_missing_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "store/both"
    folder.mkdir(parents=True)
    (folder / "a").write_bytes(A)
    (folder / "b").write_bytes(B[:-1])
    assert [each.name for each in missing_files(CORPUS, store(tmp_path))] == ["b"]
    fetch_corpus(CORPUS, store(tmp_path), opener=opener(tar({"b": B})))
    assert (folder / "b").read_bytes() == B


@pytest.mark.parametrize(
    ("content", "kind", "message"),
    [
        (tar({"a": A}), CorruptData, "holds no b"),
        (tar({"a": A, "b": B[:-1] + b"x"}), CorruptData, "its sha256 is"),
        (tar({"a": A, "b": B[:-1]}), CorruptData, "1999 bytes instead"),
        (tar({"a": A, "b": B + b"x"}), LimitExceeded, "more than the 2,000 bytes"),
        (tar({"a": A, "b": B})[:-30], CorruptData, "not a whole archive"),
        (b"<html>not found</html>", CorruptData, "not a whole archive"),
        (bytes(8 << 20), LimitExceeded, "more than the"),
    ],
)
def test_a_bad_download_leaves_nothing(tmp_path: Path, content: bytes, kind: type[Exception], message: str) -> None:
    with pytest.raises(kind, match=message):
        fetch_corpus(CORPUS, store(tmp_path), opener=opener(content))
    left = {path.name for path in (tmp_path / "store").rglob("*") if path.is_file()}
    assert left <= {"a"}, "no torn and no temporary files"


def test_names_in_an_archive_lead_nowhere(tmp_path: Path) -> None:
    members = {"../../evil": b"x", "../../a": A, "/b": B}
    fetch_corpus(CORPUS, store(tmp_path), opener=opener(tar(members)))
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == [
        "store/both/a",
        "store/both/b",
    ]


def test_zip(tmp_path: Path) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("folder/a", A)
    corpus = Corpus("one", "", "", "", "https://example.org/one.zip", (file("a", A),))
    assert (fetch_corpus(corpus, store(tmp_path), opener=opener(sink.getvalue())) / "a").read_bytes() == A


def test_without_a_network(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no network"):
        fetch_corpus(CORPUS, store(tmp_path), opener=offline)


def test_only_https() -> None:
    for url in ("http://example.org/x", "file:///etc/passwd", "ftp://example.org/x"):
        with pytest.raises(UsageError, match="only https"):
            open_https(url)


def test_a_redirect_to_http_is_refused() -> None:
    request = urllib.request.Request("https://example.org/x")
    with pytest.raises(UsageError, match="redirects to http:"):
        fetch._HttpsOnly().redirect_request(  # type: ignore[no-untyped-call]
            request, None, 302, "", {}, "http://example.org/x"
        )


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "served").mkdir()
    (tmp_path / "served/both.tar.gz").write_bytes(tar({"a": A, "b": B}))

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(tmp_path / "served"))

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}/both.tar.gz"
        running.shutdown()


def test_two_at_once_from_a_real_server(tmp_path: Path, server: str) -> None:
    def open_local(url: str) -> BinaryIO:
        opened: BinaryIO = urllib.request.urlopen(server, timeout=30)  # noqa: S310  # the server above
        return opened

    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(fetch_corpus, CORPUS, store(tmp_path), opener=open_local) for _ in range(2)]
        folders = {run.result() for run in runs}
    assert len(folders) == 1
    assert sorted(path.name for path in folders.pop().iterdir()) == ["a", "b"]


def test_copies_are_found_in_order(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "both").mkdir(parents=True)
        (tmp_path / name / "both/a").write_bytes(A)
    places = Places((tmp_path / "one", tmp_path / "two"))
    assert list(find_copies(CORPUS, CORPUS.files[0], places)) == [tmp_path / "one/both/a", tmp_path / "two/both/a"]
