"""Fetching corpora: https only, no more bytes than expected, every file checked, then renamed into place.

What is in an archive is taken by its registered name alone and written under that name, so a path inside of an
archive cannot lead anywhere. A file that is there and right is not fetched again; a torn download leaves nothing.
"""

import contextlib
import tarfile
import tempfile
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, BinaryIO

from zipllm.data.local import Discard, Places, Sink, copy_verified, find_copies
from zipllm.data.registry import Corpus, CorpusFile
from zipllm.errors import CorruptData, FileError, LimitExceeded, UsageError, ZipllmError
from zipllm.temporary import replacing

Opener = Callable[[str], BinaryIO]
Report = Callable[[int], None]
"""Told how many bytes have been downloaded."""

_CHUNK = 1 << 20
_SPARE = 4 << 20
_TIMEOUT_SECONDS = 60


def missing_files(corpus: Corpus, places: Places) -> list[CorpusFile]:
    """Return the files of which there is no right copy."""
    return [file for file in corpus.files if not _has_copy(corpus, file, places)]


def fetch_corpus(corpus: Corpus, places: Places, *, opener: Opener | None = None, report: Report | None = None) -> Path:
    """Download what is missing of a corpus into the store.

    Args:
        corpus: what to fetch.
        places: where copies are looked for; the last is the store.
        opener: opens a URL; ``open_https`` by default.
        report: told about the progress.

    Returns:
        The folder of the corpus in the store.

    Raises:
        UsageError: the corpus has no address, or one that is not https.
        LimitExceeded: the download is larger than the corpus can be.
        CorruptData: a file of it is missing or not the right one.
        FileError: the network or the disk fails.
    """
    folder = places.store / corpus.name
    wanted = missing_files(corpus, places)
    if not wanted:
        return folder
    if not corpus.url:
        raise UsageError(f"{corpus.name} is not fetched from anywhere")
    with _failures(corpus.url), tempfile.TemporaryFile() as download:
        limit = corpus.bytes + _SPARE  # every archive of these is smaller than its content
        with (opener or open_https)(corpus.url) as stream:
            _copy(stream, download, limit, corpus.url, report)
        folder.mkdir(parents=True, exist_ok=True)
        for file in wanted:
            with _member(download, file, corpus.url) as stream:
                _store(stream, folder / file.name, file)
    return folder


def open_https(url: str) -> BinaryIO:
    """Open an https URL; redirects to anything else are refused.

    Raises:
        UsageError: the URL is not https.
    """
    if not url.startswith("https://"):
        raise UsageError(f"{url}: only https is fetched")
    opener = urllib.request.build_opener(_HttpsOnly())
    request = urllib.request.Request(url, headers={"User-Agent": "zipllm"})  # noqa: S310  # https, checked above
    stream: BinaryIO = opener.open(request, timeout=_TIMEOUT_SECONDS)
    return stream


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        if not newurl.startswith("https://"):
            raise UsageError(f"{req.full_url}: redirects to {newurl}; only https is fetched")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _has_copy(corpus: Corpus, file: CorpusFile, places: Places) -> bool:
    for path in find_copies(corpus, file, places):
        with contextlib.suppress(ZipllmError):
            copy_verified(path, file, Discard())
            return True
    return False


def _copy(stream: IO[bytes], sink: Sink, limit: int, name: str, report: Report | None = None) -> None:
    size = 0
    while chunk := stream.read(_CHUNK):
        size += len(chunk)
        if size > limit:
            raise LimitExceeded(f"{name}: more than the {limit} bytes expected")
        sink.write(chunk)
        if report is not None:
            report(size)


@contextlib.contextmanager
def _member(download: IO[bytes], file: CorpusFile, url: str) -> Iterator[IO[bytes]]:
    """Open the member called like the file, in whatever folder of the archive it lies."""
    download.seek(0)
    if url.endswith(".zip"):
        with zipfile.ZipFile(download) as archive:
            names = [name for name in archive.namelist() if PurePosixPath(name).name == file.name]
            with archive.open(_only(names, file, url)) as stream:
                yield stream
    else:
        with tarfile.open(fileobj=download) as tar:
            members = {m.name: m for m in tar if m.isfile() and PurePosixPath(m.name).name == file.name}
            extracted = tar.extractfile(members[_only(list(members), file, url)])
            assert extracted is not None, "it is a regular file"
            with extracted:
                yield extracted


def _only(names: list[str], file: CorpusFile, url: str) -> str:
    if not names:
        raise CorruptData(f"{url}: holds no {file.name}")
    return names[0]


def _store(stream: IO[bytes], path: Path, file: CorpusFile) -> None:
    """Write, check, then rename: two processes at once both end with the right file."""
    with replacing(path) as (sink, temporary):
        _copy(stream, sink, file.bytes, file.name)
        sink.flush()
        copy_verified(temporary, file, Discard())


@contextlib.contextmanager
def _failures(url: str) -> Iterator[None]:
    """Name the address in every error of the network, the archive and the disk."""
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise CorruptData(f"{url}: not a whole archive ({error})") from error
    except urllib.error.URLError as error:
        raise FileError(f"{url}: {error.reason}") from error
    except OSError as error:
        raise FileError(f"{url}: {error.strerror or error}") from error
