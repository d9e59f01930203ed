"""``zipllm data``: the corpora that can be benchmarked; listed, fetched, and checked by their digests."""

from pathlib import Path
from typing import TYPE_CHECKING

from zipllm.cli.command import add_command, new_group
from zipllm.cli.messages import format_size
from zipllm.cli.options import DataOptions, JsonOptions, QuietOptions, argument
from zipllm.cli.results import print_json
from zipllm.cli.tables import print_described

if TYPE_CHECKING:
    from zipllm.data.local import Places
    from zipllm.data.registry import Corpus, CorpusFile

data_app = new_group("Corpora: list them, fetch them, check local copies.")


class ListCorporaOptions(JsonOptions, DataOptions, command="data"):
    """Options of ``data list``."""


class FetchOptions(DataOptions, QuietOptions, command="data"):
    """Options of ``data fetch``."""

    names: list[str] = argument(metavar="CORPUS", help="Names of corpora.")


class VerifyCorporaOptions(DataOptions, QuietOptions, command="data"):
    """Options of ``data verify``."""

    names: list[str] | None = argument(metavar="CORPUS", help="Names of corpora; by default all.", default=None)


def list_corpora(options: ListCorporaOptions) -> int:
    """Show the known corpora, how large they are, and whether there are local copies (not checked)."""
    from zipllm.data.registry import corpora

    found = [(corpus, _record(corpus, options.places)) for corpus in corpora().values()]
    if options.json:
        for _, record in found:
            print_json(record)
        return 0
    print_described(
        {
            corpus.name: (corpus.title, f"{format_size(corpus.bytes)}, {record['copies']} of {len(corpus.files)} here")
            for corpus, record in found
        }
    )
    return 0


def fetch(options: FetchOptions) -> int:
    """Download corpora over https into the cache, unless a correct copy is already there."""
    from zipllm.data.fetch import fetch_corpus
    from zipllm.data.registry import find_corpus

    for corpus in [find_corpus(name) for name in options.names]:
        folder = fetch_corpus(corpus, options.places)
        options.voice.tell(f"{corpus.name}: {len(corpus.files)} files are right ({folder})")
    return 0


def verify(options: VerifyCorporaOptions) -> int:
    """Read every local copy and compare its digest."""
    from zipllm.data.local import copy_verified, find_copies
    from zipllm.data.registry import corpora, find_corpus
    from zipllm.errors import FileError

    copies: list[tuple[str, CorpusFile, Path | None]] = []
    for corpus in [find_corpus(name) for name in options.names or corpora()]:
        for file in corpus.files:
            found: list[Path | None] = [*find_copies(corpus, file, options.places)]
            copies += [(f"{corpus.name}/{file.name}", file, path) for path in found or [None] * bool(options.names)]

    def check(copy: "tuple[str, CorpusFile, Path | None]") -> str:
        name, file, path = copy
        if path is None:
            raise FileError(f"{name}: no local copy")
        copy_verified(path, file)
        return f"{name}: right ({path})"

    return options.voice.check(copies, check)


add_command(data_app, "list", list_corpora)
add_command(data_app, "fetch", fetch)
add_command(data_app, "verify", verify)


def _record(corpus: "Corpus", places: "Places") -> dict[str, object]:
    from zipllm.data.local import find_copies

    copies = sum(next(find_copies(corpus, file, places), None) is not None for file in corpus.files)
    return {
        "name": corpus.name,
        "title": corpus.title,
        "bytes": corpus.bytes,
        "files": [{"name": file.name, "bytes": file.bytes, file.algorithm: file.digest} for file in corpus.files],
        "copies": copies,
        "licence": corpus.licence,
        "citation": corpus.citation,
        "url": corpus.url,
    }
