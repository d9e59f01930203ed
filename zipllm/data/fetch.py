"""Fetches corpora: https only, no more bytes than expected, every file verified before it takes its name.

Archive members are selected by and written under their registered names, so paths inside an archive lead nowhere.
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

from zipllm.data.local import Places, copy_bounded, copy_verified, find_copies
from zipllm.data.registry import Corpus, CorpusFile
from zipllm.errors import CorruptData, FileError, UsageError, ZipllmError
from zipllm.temporary import replacing

Opener = Callable[[str], BinaryIO]

_OVERHEAD = 4 << 20
"""Bytes that a download may have beyond the content of its files."""

_TIMEOUT_SECONDS = 60


def missing_files(corpus: Corpus, places: Places) -> list[CorpusFile]:
    """Return the files without a right copy."""
    return [file for file in corpus.files if not _has_copy(corpus, file, places)]


def fetch_corpus(corpus: Corpus, places: Places, *, opener: Opener | None = None) -> Path:
    """Download the missing files of a corpus into the store, and return their folder; ``opener`` opens a URL.

    Raises:
        UsageError: the corpus has no address, or the address is not https.
        LimitExceeded: the download is larger than the corpus can be.
        CorruptData: a file is missing from the archive, or is another file.
        FileError: the network or the disk fails.
    """
    folder = places.store / corpus.name
    wanted = missing_files(corpus, places)
    if not wanted:
        return folder
    if not corpus.url:
        raise UsageError(f"{corpus.name} has no address to fetch it from")
    with _naming(corpus.url), tempfile.TemporaryFile() as download:
        with (opener or open_https)(corpus.url) as stream:
            copy_bounded(stream, download, corpus.bytes + _OVERHEAD, corpus.url)
        folder.mkdir(parents=True, exist_ok=True)
        for file in wanted:
            with _member(download, file, corpus.url) as stream, replacing(folder / file.name) as (sink, temporary):
                copy_bounded(stream, sink, file.bytes, file.name)
                sink.flush()
                copy_verified(temporary, file)
    return folder


def open_https(url: str) -> BinaryIO:
    """Open an https URL. Raises ``UsageError`` for others, and for redirects to others."""
    if not url.startswith("https://"):
        raise UsageError(f"{url}: only https is allowed")
    opener = urllib.request.build_opener(_HttpsOnly())
    request = urllib.request.Request(url, headers={"User-Agent": "zipllm"})  # noqa: S310  # https, checked above
    stream: BinaryIO = opener.open(request, timeout=_TIMEOUT_SECONDS)
    return stream


class _HttpsOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        if not newurl.startswith("https://"):
            raise UsageError(f"{req.full_url}: redirects to {newurl}; only https is allowed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _has_copy(corpus: Corpus, file: CorpusFile, places: Places) -> bool:
    for path in find_copies(corpus, file, places):
        with contextlib.suppress(ZipllmError):
            copy_verified(path, file)
            return True
    return False


@contextlib.contextmanager
def _member(download: IO[bytes], file: CorpusFile, url: str) -> Iterator[IO[bytes]]:
    """Open the member with the file's name, in any folder of the archive."""
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


@contextlib.contextmanager
def _naming(url: str) -> Iterator[None]:
    """Turn errors of the network, the archive and the disk into errors that name the address."""
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, EOFError) as error:
        raise CorruptData(f"{url}: not a whole archive ({error})") from error
    except urllib.error.URLError as error:
        raise FileError(f"{url}: {error.reason}") from error
    except OSError as error:
        raise FileError(f"{url}: {error.strerror or error}") from error
