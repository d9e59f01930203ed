"""The known corpora: their files, licences, and the digests that identify the files."""

import hashlib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zipllm.errors import UsageError, suggestion

if TYPE_CHECKING:
    from hashlib import _Hash

SAMPLES = "samples"
"""The corpus that comes with zipllm."""


@dataclass(frozen=True)
class CorpusFile:
    """One file of a corpus, without folder; size and hexadecimal digest are of the raw content.

    ``algorithm`` is ``sha256``, or ``md5`` where nothing better has been published.
    """

    name: str
    bytes: int
    digest: str
    algorithm: str = "sha256"

    def hasher(self) -> "_Hash":
        """Return a new hash object of this file's algorithm."""
        return hashlib.new(self.algorithm, usedforsecurity=False)


@dataclass(frozen=True)
class Corpus:
    """A named set of files.

    Attributes:
        title: one line.
        citation: the source to cite with results.
        url: https address of the download, empty if the corpus is bundled.
        train: begin and end of the bytes to learn from; None for most corpora, which are benchmarks.
        valid: begin and end of the bytes for validation.
    """

    name: str
    title: str
    licence: str
    citation: str
    url: str
    files: tuple[CorpusFile, ...]
    train: tuple[int, int] | None = None
    valid: tuple[int, int] | None = None

    @property
    def bytes(self) -> int:
        """Raw size of all files."""
        return sum(file.bytes for file in self.files)


@cache
def corpora() -> Mapping[str, Corpus]:
    """Return every known corpus by name."""
    text = resources.files("zipllm.data").joinpath("corpora.toml").read_text(encoding="utf-8")
    return {name: _corpus(name, value) for name, value in tomllib.loads(text).items()}


def find_corpus(name: str) -> Corpus:
    """Return the corpus of that name. Raises ``UsageError`` that lists the known ones."""
    if name not in corpora():
        raise UsageError(f"no corpus called {name!r}{suggestion(name, corpora())}")
    return corpora()[name]


def samples_folder() -> Path:
    """Return the folder of the bundled samples."""
    return Path(str(resources.files("zipllm.data").joinpath(SAMPLES)))


def _corpus(name: str, value: Mapping[str, Any]) -> Corpus:
    files = tuple(_file(entry) for entry in value["files"])
    parts = {use: tuple(value[use]) for use in ("train", "valid") if use in value}
    return Corpus(name, **{**value, "files": files, **parts})


def _file(entry: Mapping[str, Any]) -> CorpusFile:
    algorithm = "sha256" if "sha256" in entry else "md5"
    return CorpusFile(entry["name"], entry["bytes"], entry[algorithm], algorithm)
