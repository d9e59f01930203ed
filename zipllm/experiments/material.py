"""Text by domain, one part to train on and one to measure with, which share no document.

A folder given with ``--data-dir`` may hold ``train/train/NAME*`` and ``train/valid/NAME*``, and enwik8; what it does
not hold comes from the machine itself (``machine_text``), if there is anything of the kind. Whatever is trained on is
first compared with the registry of benchmarks, by digest, and refused if it is one of them.
"""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
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
"""Of the machine's documents one in so many is held back to measure with, chosen by its digest."""
_ENWIK8_TRAIN, _ENWIK8_TEST = "enwik8[0:90M]", slice(95_000_000, 100_000_000)
_ENWIK8_KEPT = 16_000_000
"""Bytes of its beginning that are kept in memory; no study trains on more."""
_WHOLE = 1 << 64
_NEAR_SHIPPED = ("python", "english")
"""Of this machine's text: the shipped model's card names Python's own sources and documentation."""


@dataclass(frozen=True)
class Domain:
    """A kind of text, and where it is found.

    Attributes:
        stem: what the files in a data folder begin with; empty if there are none.
        machine: the same kind of text from this machine, as documents; None if there is none.
        sample: bundled sample to measure with where there is nothing else; never trained on.
    """

    stem: str
    machine: Callable[[], Iterator[bytes]] | None = None
    sample: str = ""


DOMAINS = {
    "english": Domain("books_en", machine_text.documentation),
    "python": Domain("code_python", machine_text.sources),
    "c": Domain("code_c", machine_text.headers),
    "table": Domain("csv", machine_text.character_names),
    "chinese": Domain("zh_docs", sample="chinese.txt"),
    "markup": Domain("html_docs"),
    "german": Domain("books_de"),
    "wiki": Domain(""),
}


@dataclass(frozen=True)
class Text:
    """Text of one domain.

    Attributes:
        name: of the domain.
        train: to learn from; empty if there is only something to measure with.
        test: to measure with.
        origin: where it came from, in words.
        near_shipped: whether the shipped model may have learned from the part that is measured with.
    """

    name: str
    train: bytes
    test: bytes
    origin: str
    near_shipped: bool = False

    @property
    def digest(self) -> str:
        """SHA-256 of both parts, hexadecimal."""
        return hashlib.sha256(hashlib.sha256(self.train).digest() + hashlib.sha256(self.test).digest()).hexdigest()


def find_text(name: str, places: Places, train_bytes: int, test_bytes: int) -> Text | None:
    """Return text of a domain, or None where this machine has none.

    Args:
        name: one of ``DOMAINS``.
        places: data folders.
        train_bytes: at most so much to train on.
        test_bytes: at most so much to measure with.

    Raises:
        UsageError: what would be trained on is a benchmark.
        CorruptData: a file of the data folder is damaged.
        FileError: it cannot be read.
    """
    domain = DOMAINS[name]
    if name == "wiki":
        return _wiki(places, train_bytes, test_bytes)
    folders = [folder / "train" for folder in places.folders if domain.stem]
    for folder in folders:
        train, test = _files(folder / "train", domain.stem), _files(folder / "valid", domain.stem)
        if train and test:
            return Text(
                name,
                b"".join(_checked(path) for path in train)[:train_bytes],
                _spread(b"".join(map(read_data, test)), test_bytes),
                f"{', '.join(path.name.split('.')[0] for path in train)} of the data folder",
            )
    if domain.machine is not None:
        train_text, test_text = _divide(_mixed(domain.machine), train_bytes, test_bytes)
        near = name in _NEAR_SHIPPED
        return Text(name, train_text, test_text, machine_text.origin(name), near)
    if domain.sample:
        return Text(name, b"", (samples_folder() / domain.sample).read_bytes()[:test_bytes], f"bundled {SAMPLES}")
    return None


def need_text(name: str, places: Places, train_bytes: int, test_bytes: int) -> Text:
    """Return text of a domain that has to be there; arguments and errors as ``find_text``.

    Raises:
        FileError: there is none, or less than half of what is wanted to train on.
    """
    text = find_text(name, places, train_bytes, test_bytes)
    if text is None or len(text.train) < train_bytes // 2 or not text.test:
        raise FileError(f"no {name} text to train on here; --data-dir names a folder with train/train and train/valid")
    return text


def _files(folder: Path, stem: str) -> list[Path]:
    return sorted(path for path in folder.glob(f"{stem}*") if path.is_file())


def _checked(path: Path) -> bytes:
    """The content of a training file, once it is known to be no benchmark."""
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
    """The beginning of enwik8 and its last 5 MB; unpacked once in a process."""
    corpus, file, allowed = corpus_part(_ENWIK8_TRAIN, "train")
    for copy in find_copies(corpora()[corpus.name], file, places):
        sink = io.BytesIO()
        copy_verified(copy, file, sink)
        whole = sink.getbuffer()
        return bytes(whole[: min(_ENWIK8_KEPT, allowed.stop)]), bytes(whole[_ENWIK8_TEST])
    return None


@cache
def _mixed(make: Callable[[], Iterator[bytes]]) -> list[tuple[int, bytes]]:
    """Documents in the order of their digests, which mixes them; each once, none of a benchmark."""
    found = {place(document): document for document in make()}
    for document in found.values():
        check_file("text of this machine", Path(), len(document), hashlib.sha256(document).hexdigest(), "train")
    return sorted(found.items())


def _divide(whole: Sequence[tuple[int, bytes]], train_bytes: int, test_bytes: int) -> tuple[bytes, bytes]:
    """What lies in the first eighth of all places is held back."""
    bound = _WHOLE // TEST_ONE_IN
    held = b"".join(document for where, document in whole if where < bound)
    return b"".join(document for where, document in whole if where >= bound)[:train_bytes], _spread(held, test_bytes)


def _spread(data: bytes, size: int) -> bytes:
    """At most ``size`` bytes of long text: eight pieces at equal distances, cut after lines."""
    if len(data) <= size:
        return data
    pieces = list(documents([data], max(1, size // 8)))
    step = max(1, len(pieces) // 8)
    return b"".join(pieces[::step])[:size]
