"""From files to token files in the run folder, with the tokenizer learned on the way.

A run has ``tokenizer.json``, ``tokens/train-NAME.bin``, ``tokens/valid-NAME.bin``, and ``data.json``, written last.
A resumed run uses them again.
"""

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zipllm.data.inputs import STDIN, Spool, gather, survey
from zipllm.data.local import Places
from zipllm.data.permission import Use, names_corpus
from zipllm.data.reading import find_files
from zipllm.data.registry import corpora
from zipllm.data.slices import parse_slice
from zipllm.data.unpack import UNPACK_LIMITS, UnpackLimits
from zipllm.data.windows import TokenSource, open_tokens
from zipllm.errors import FileError, file_errors
from zipllm.model_file.file import tokenizer_json
from zipllm.tokenizer import ByteTokenizer, Tokenizer
from zipllm.train.enough import check_not_empty, check_windows, notes
from zipllm.train.manifest import (
    Manifest,
    ReadFile,
    ReadSource,
    check_request,
    prepared_digests,
    read_manifest,
    write_manifest,
)
from zipllm.train.token_files import Kind, SourceData, divide, token_file, write_tokens
from zipllm.train.vocabulary import learn_tokenizer, read_tokenizer, write_tokenizer

_INPUT = "input"
"""Folder in the run for copies of what is no plain file, until it is tokenized."""
_TOKEN_BYTES = 8
"""Bytes a byte-pair token stands for at most, on average: decides how much makes one validation window."""


@dataclass(frozen=True)
class Source:
    """Training or validation data under one name.

    Attributes:
        name: label, unique within the run; letters, digits, ``.``, ``_`` and ``-``.
        paths: files, folders, patterns, ``-`` for standard input, parts of registered corpora (``enwik8[0:90M]``).
        weight: multiplies the source's share of the training windows, which is otherwise its share of tokens.
        licence: goes into the model card.
    """

    name: str
    paths: tuple[Path, ...]
    weight: float = 1.0
    licence: str = ""


@dataclass(frozen=True)
class Corpus:
    """Tokenized data of a run.

    Attributes:
        train: sources to draw windows from.
        valid: sources held back.
        digests: SHA-256 of the raw content of the training files, hexadecimal, by source; the largest file first.
        notes: lines for the user.
        prepared: SHA-256 of the tokenizer and of the token files.
    """

    tokenizer: Tokenizer
    train: list[TokenSource]
    valid: list[TokenSource]
    digests: Mapping[str, tuple[str, ...]]
    notes: tuple[str, ...] = ()
    prepared: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class DataOptions:
    """How to read data.

    Attributes:
        vocabulary: 256 for a byte model, else the size of the byte-pair vocabulary; unused with ``tokenizer``.
        tokenizer: None: learn one.
        sequence: tokens in a training window.
        limits: on packed files and standard input.
    """

    vocabulary: int
    tokenizer: Tokenizer | None = None
    sequence: int = 512
    places: Places | None = None
    limits: UnpackLimits = UNPACK_LIMITS


def data_sources(arguments: Sequence[str | os.PathLike[str]], name: str = "data") -> tuple[Source, ...]:
    """Return what arguments like ``Source.paths`` mean: one source, ``name``, of all paths, and one for each corpus."""
    paths: dict[str, list[Path]] = {}
    for argument in [os.fspath(argument) for argument in arguments]:
        corpus = parse_slice(argument)[0].partition("/")[0] if names_corpus(argument) else ""
        paths.setdefault(corpus or name, []).append(source_path(argument))
    licences = {name: corpus.licence for name, corpus in corpora().items()}
    return tuple(Source(name, tuple(listed), licence=licences.get(name, "")) for name, listed in paths.items())


def prepare_corpus(
    run: Path, train: Sequence[Source], valid: Sequence[Source], options: DataOptions, *, resume: bool = False
) -> Corpus:
    """Learn the tokenizer and tokenize everything into ``run``.

    Without ``valid``, some documents of each training source are held back (`zipllm.data.split`). With ``resume``,
    completed work of an earlier call is used.

    Raises:
        FileError: data cannot be read, or the folder cannot be written.
        UsageError: no data, too little, or a benchmark; a vocabulary out of range; a run prepared from other data.
        CorruptData: a compressed file is damaged.
        LimitExceeded: a file passes the limits.
    """
    request = _request(train, valid, options)
    manifest = read_manifest(run) if resume else None
    if manifest is not None:
        check_request(manifest, request, run)
        with file_errors(run):
            if manifest.prepared and prepared_digests(run) != manifest.prepared:
                raise FileError(f"{run}: the tokenizer or the token files are not those that data.json describes")
        return open_corpus(run)
    if not resume:
        shutil.rmtree(run / _INPUT, ignore_errors=True)
    with _clean_folder(run):
        _prepare(run, train, valid, options, request)
    return open_corpus(run)


def open_corpus(run: Path) -> Corpus:
    """Open what ``prepare_corpus`` has made, without reading any data. Raises ``FileError``."""
    manifest = read_manifest(run)
    if manifest is None:
        raise FileError(f"{run} holds no prepared data")
    try:
        train = list(_token_sources(run, "train", manifest.train))
        valid = list(_token_sources(run, "valid", manifest.valid))
    except (OSError, ValueError) as error:
        raise FileError(f"{run}: its token files are damaged ({error})") from error
    digests = {
        source.name: tuple(file.sha256 for file in sorted(source.files, key=lambda file: -file.bytes))
        for source in manifest.train
    }
    return Corpus(read_tokenizer(run / "tokenizer.json"), train, valid, digests, manifest.notes, manifest.prepared)


def _prepare(
    run: Path, train: Sequence[Source], valid: Sequence[Source], options: DataOptions, request: Mapping[str, Any]
) -> None:
    is_bytes = options.tokenizer is None and options.vocabulary == len(ByteTokenizer.vocabulary)
    window = options.sequence * (1 if is_bytes else _TOKEN_BYTES)
    sources = [_read(source, "train", run, options, 0 if valid else window) for source in train]
    held = [_read(source, "valid", run, options, 0) for source in valid]
    check_not_empty(sources)
    (run / "tokens").mkdir(parents=True, exist_ok=True)
    tokenizer = options.tokenizer or learn_tokenizer(sources, options.vocabulary)
    write_tokenizer(tokenizer, run / "tokenizer.json")
    for source in sources:
        write_tokens(run, source, tokenizer, ("train",) if valid else ("train", "valid"))
    for source in held:
        write_tokens(run, source, tokenizer, ("valid",))
    check_windows(run, sources, options.sequence)
    found = notes(run, sources, held or sources, options.sequence, tokenizer)
    sides = _summary(sources), _summary(held or sources)
    write_manifest(Manifest(request, *sides, found, prepared_digests(run)), run)
    shutil.rmtree(run / _INPUT, ignore_errors=True)


def _read(source: Source, use: Use, run: Path, options: DataOptions, wanted: int) -> SourceData:
    """Find and digest the files of a source, and divide them so that ``wanted`` bytes are held back."""
    spool = Spool(run / _INPUT, options.places or Places.default(), options.limits)
    passed_over: list[Path] = []
    files = tuple(survey(gather(source.paths, use, spool, passed_over), use, options.limits))
    split = divide(files, wanted, options.limits)
    return SourceData(source.name, source.weight, files, split, options.limits, tuple(passed_over))


def _request(train: Sequence[Source], valid: Sequence[Source], options: DataOptions) -> dict[str, Any]:
    """What must be the same when a run goes on, as JSON."""

    def described(sources: Sequence[Source]) -> list[Any]:
        return [[source.name, source.weight, [place(path) for path in source.paths]] for source in sources]

    given = options.tokenizer
    return {
        "training data": described(train),
        "validation data": described(valid),
        "vocabulary": options.vocabulary if given is None else hashlib.sha256(tokenizer_json(given)).hexdigest(),
    }


def place(path: Path) -> str:
    """Return a source's path such that it is valid in any working folder."""
    return str(path) if path == STDIN or names_corpus(str(path)) else os.path.abspath(path)


def source_path(text: str, folder: Path = Path()) -> Path:
    """Return a source's path in a folder, unless the text names a corpus or is ``-``; ``./-`` is a file."""
    if text == str(STDIN) or names_corpus(text):
        return Path(text)
    path = folder / text
    return Path(os.path.abspath(path)) if path == STDIN else path


def origins(sources: Iterable[Source]) -> list[Path | int]:
    """Return the files that sources name, and the descriptor of standard input. Raises ``FileError``."""
    paths = [path for source in sources for path in source.paths]
    files = [path for path in paths if path != STDIN and not names_corpus(str(path))]
    return [*(find_files(files) if files else []), *([0] if STDIN in paths else [])]


def _summary(sources: Sequence[SourceData]) -> tuple[ReadSource, ...]:
    return tuple(
        ReadSource(
            source.name, source.weight, tuple(ReadFile(file.name, file.bytes, file.sha256) for file in source.files)
        )
        for source in sources
    )


def _token_sources(run: Path, kind: Kind, sources: Sequence[ReadSource]) -> Iterator[TokenSource]:
    """Open the token files that are not empty."""
    for source in sources:
        path = token_file(run, kind, source.name)
        if path.stat().st_size:
            tokens = open_tokens(path)
            yield TokenSource(source.name, tokens, source.weight * len(tokens))


@contextlib.contextmanager
def _clean_folder(run: Path) -> Iterator[None]:
    """Remove an earlier preparation, and this one if it fails; an interruption leaves the copy of standard input."""
    try:
        _remove_prepared(run)
        yield
    except Exception as error:
        _remove_prepared(run)
        shutil.rmtree(run / _INPUT, ignore_errors=True)
        if isinstance(error, OSError):
            raise FileError(f"cannot prepare {run}: {error.strerror or error}") from error
        raise


def _remove_prepared(run: Path) -> None:
    for name in ("data.json", "tokenizer.json"):
        with contextlib.suppress(OSError):
            (run / name).unlink()
    shutil.rmtree(run / "tokens", ignore_errors=True)
