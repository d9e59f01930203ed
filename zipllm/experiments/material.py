"""Text by domain, one part to train on and one to measure with, which share no document.

A folder given with ``--data-dir`` may hold ``train/train/NAME*`` and ``train/valid/NAME*``, and enwik8; the machine
itself supplies some of the other domains (``machine_text``). All training text is compared with the registry of
benchmarks, by digest, and refused if it is one of them.
"""

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from zipllm.data.local import Places, copy_verified, find_copies
from zipllm.data.permission import check_file, corpus_part
from zipllm.data.reading import documents, read_data
from zipllm.data.registry import SAMPLES, corpora, samples_folder
from zipllm.data.split import place
from zipllm.errors import FileError
from zipllm.experiments import machine_text

TEST_ONE_IN = 8
"""One in this many of the machine's documents is held out, chosen by its digest."""
_ENWIK8_TRAIN, _ENWIK8_TEST = "enwik8[0:90M]", slice(95_000_000, 100_000_000)
_ENWIK8_KEPT = 16_000_000
"""Bytes of its beginning kept in memory; no study trains on more."""


@dataclass(frozen=True)
class Domain:
    """A kind of text, and its sources.

    Attributes:
        stem: beginning of the names of its files in a data folder, or empty.
        machine: yields documents of this machine.
        near_shipped: whether the shipped model's card names such documents as training data.
        sample: bundled sample as the last resort for measuring; never trained on.
    """

    stem: str
    machine: Callable[[], Iterator[bytes]] | None = None
    near_shipped: bool = False
    sample: str = ""


DOMAINS = {
    "english": Domain("books_en", machine_text.documentation, near_shipped=True, sample="english.txt"),
    "python": Domain("code_python", machine_text.sources, near_shipped=True, sample="code.txt"),
    "c": Domain("code_c", machine_text.headers),
    "table": Domain("csv", machine_text.character_names),
    "chinese": Domain("zh_docs", sample="chinese.txt"),
    "json": Domain("json", sample="data.json"),
    "markup": Domain("html_docs"),
    "german": Domain("books_de"),
    "wiki": Domain(""),
}


@dataclass(frozen=True)
class Text:
    """Text of one domain: to learn from (may be empty), held out, and its source in words."""

    name: str
    train: bytes
    test: bytes
    origin: str
    near_shipped: bool = False


def find_text(name: str, places: Places, train_bytes: int, test_bytes: int) -> Text | None:
    """Return text of one of ``DOMAINS``, each part up to its limit, or None if this machine has none.

    Raises:
        UsageError: the training text is a benchmark.
        CorruptData: a file of the data folder is damaged.
        FileError: a file cannot be read.
    """
    domain = DOMAINS[name]
    if name == "wiki":
        return _wiki(places, train_bytes, test_bytes)
    if found := _in_folders(domain, places):
        train, test = found
        learned = b"".join(map(_checked, train))[:train_bytes]
        return Text(name, learned, _spread(b"".join(map(read_data, test)), test_bytes), _folder_origin(test))
    if domain.machine is not None:
        learned, held = _divided(domain.machine)
        origin = machine_text.origin(name)
        return Text(name, learned[:train_bytes], _spread(held, test_bytes), origin, domain.near_shipped)
    if domain.sample:
        return Text(name, b"", (samples_folder() / domain.sample).read_bytes()[:test_bytes], f"bundled {SAMPLES}")
    return None


def held_out(name: str, places: Places, size: int) -> Text:
    """Return text of a domain to measure with: held-out text of a data folder, or else the domain's bundled sample.

    Raises:
        CorruptData: a file of the data folder is damaged.
        FileError: a file cannot be read.
    """
    domain = DOMAINS[name]
    assert domain.sample, "only domains with a sample can always be measured"
    if found := _in_folders(domain, places):
        _, test = found
        return Text(name, b"", _spread(b"".join(map(read_data, test)), size), _folder_origin(test))
    return Text(name, b"", (samples_folder() / domain.sample).read_bytes()[:size], f"bundled {domain.sample}")


def own_text(size: int) -> Text:
    """Return pieces of zipllm's own source, to measure with."""
    data = b"".join(machine_text.own_sources())
    return Text("zipllm", b"", _spread(data, size), machine_text.origin("zipllm"))


@cache
def main_text(places: Places, train_bytes: int, test_bytes: int) -> Text:
    """Return enwik8 where there is a copy, else English; read once in a process, other errors as ``find_text``.

    Raises:
        FileError: there is no such text, or less than half of ``train_bytes``.
    """
    text = _wiki(places, train_bytes, test_bytes) or find_text("english", places, train_bytes, test_bytes)
    if text is None or len(text.train) < train_bytes // 2 or not text.test:
        raise FileError("too little English to train on; --data-dir names a folder with train/train and train/valid")
    return text


def data_files(places: Places) -> Iterator[Path]:
    """Yield every file and folder that a study may read in a data folder."""
    for folder in places.folders:
        for kind in ("train", "tasks", "image", "audio"):
            yield from (folder / kind).rglob("*")


def domains_in(places: Places) -> list[str]:
    """Return the domains that have training text in a data folder."""
    found = [name for name in DOMAINS if any(_files(folder, "train", DOMAINS[name]) for folder in places.folders)]
    enwik8 = corpora()["enwik8"]
    return sorted([*found, *(["wiki"] if any(find_copies(enwik8, enwik8.files[0], places)) else [])])


def _files(folder: Path, part: str, domain: Domain) -> list[Path]:
    """Return the files of a domain in a data folder: to train on, or held out."""
    stem = domain.stem
    return sorted(path for path in (folder / "train" / part).glob(f"{stem}*") if stem and path.is_file())


def _in_folders(domain: Domain, places: Places) -> tuple[list[Path], list[Path]] | None:
    """Return the files of a domain in the first data folder that has some to train on and some held out."""
    for folder in places.folders:
        train, test = (_files(folder, part, domain) for part in ("train", "valid"))
        if train and test:
            return train, test
    return None


def _folder_origin(files: list[Path]) -> str:
    return f"{', '.join(path.name.split('.')[0] for path in files)} of the data folder"


def _checked(path: Path) -> bytes:
    """Read a training file and refuse a benchmark."""
    data = read_data(path)
    check_file(path.name, path, len(data), hashlib.sha256(data).hexdigest(), "train")
    return data


def _wiki(places: Places, train_bytes: int, test_bytes: int) -> Text | None:
    parts = _enwik8(places)
    if parts is None:
        return None
    train, test = parts[0][:train_bytes], _spread(parts[1], test_bytes)
    return Text("wiki", train, test, "enwik8, trained on its beginning, measured on its last 5 MB")


@cache
def _enwik8(places: Places) -> tuple[bytes, bytes] | None:
    """Return the beginning of enwik8 and its last 5 MB; unpacked once in a process."""
    corpus, file, allowed = corpus_part(_ENWIK8_TRAIN, "train")
    for copy in find_copies(corpora()[corpus.name], file, places):
        sink = io.BytesIO()
        copy_verified(copy, file, sink)
        whole = sink.getbuffer()
        return bytes(whole[: min(_ENWIK8_KEPT, allowed.stop)]), bytes(whole[_ENWIK8_TEST])
    return None


@cache
def _divided(make: Callable[[], Iterator[bytes]]) -> tuple[bytes, bytes]:
    """Return documents to learn from and held-out ones, in the order of their digests, which shuffles them.

    Every document counts once. The first eighth of all possible digests is held out.
    """
    found = {place(document): document for document in make()}
    learned: list[bytes] = []
    held: list[bytes] = []
    for where, document in sorted(found.items()):
        check_file("text of this machine", Path(), len(document), hashlib.sha256(document).hexdigest(), "train")
        (held if where < (1 << 64) // TEST_ONE_IN else learned).append(document)
    return b"".join(learned), b"".join(held)


def _spread(data: bytes, size: int) -> bytes:
    """Return at most ``size`` bytes of a text: eight pieces at equal distances, cut after lines."""
    if len(data) <= size:
        return data
    pieces = list(documents([data], max(1, size // 8)))
    step = max(1, len(pieces) // 8)
    return b"".join(pieces[::step])[:size]
