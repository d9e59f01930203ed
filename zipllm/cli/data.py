"""``zipllm data``: the corpora that can be benchmarked; listed, fetched, and checked by their digests."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zipllm.cli import options
from zipllm.cli.messages import format_size, say
from zipllm.cli.results import print_json, write_stdout
from zipllm.cli.voice import Voice, finish

if TYPE_CHECKING:
    from zipllm.data.local import Places
    from zipllm.data.registry import Corpus

data_app = typer.Typer(
    help="Corpora: list them, fetch them, check local copies.",
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

DataDir = Annotated[
    Path | None, typer.Option("--data-dir", metavar="DIR", help="Local corpora; also $ZIPLLM_DATA_DIR.")
]
Names = Annotated[
    list[str] | None, typer.Argument(metavar="[CORPUS]...", help="Names; none is all.", show_default=False)
]
Wanted = Annotated[list[str], typer.Argument(metavar="CORPUS...", help="Names.", show_default=False)]


@data_app.command("list")
def list_corpora(data_dir: DataDir = None, json: options.Json = False) -> None:
    """Show the known corpora, how large they are, and whether there are copies here (not checked)."""

    def run() -> int:
        from zipllm.data.registry import corpora

        places = _places(data_dir)
        for corpus in corpora().values():
            record = _record(corpus, places)
            if json:
                print_json(record)
            else:
                here = f"{record['copies']} of {len(corpus.files)} here"
                size = format_size(corpus.bytes)
                write_stdout(f"{corpus.name:<11} {size:>9}  {here:<15} {corpus.title}\n")
        return 0

    finish(Voice("data"), run)


@data_app.command("fetch")
def fetch(names: Wanted, data_dir: DataDir = None, quiet: options.Quiet = 0) -> None:
    """Download corpora over https into the cache; what is there and right is not fetched again."""
    voice = Voice("data", 1 - quiet)

    def run() -> int:
        from zipllm.data.fetch import fetch_corpus
        from zipllm.data.registry import find_corpus

        places = _places(data_dir)
        for corpus in [find_corpus(name) for name in names]:
            folder = fetch_corpus(corpus, places)
            if voice.level >= 1:
                say(f"{corpus.name}: {len(corpus.files)} files are right ({folder})")
        return 0

    finish(voice, run)


@data_app.command("verify")
def verify(names: Names = None, data_dir: DataDir = None, quiet: options.Quiet = 0) -> None:
    """Read every local copy to its end and compare its digest."""
    voice = Voice("data", 1 - quiet)

    def run() -> int:
        from zipllm.data.registry import corpora, find_corpus

        places = _places(data_dir)
        chosen = [find_corpus(name) for name in names or corpora()]
        return max(_verify(corpus, places, voice, asked=bool(names)) for corpus in chosen)

    finish(voice, run)


def _verify(corpus: "Corpus", places: "Places", voice: Voice, *, asked: bool) -> int:
    """Check every copy of every file; a missing one is an error only if its corpus was named."""
    from zipllm.data.local import Discard, copy_verified, find_copies
    from zipllm.errors import FileError, ZipllmError

    worst = 0
    for file in corpus.files:
        copies = list(find_copies(corpus, file, places))
        if not copies and asked:
            worst = max(worst, voice.fail(None, FileError(f"{corpus.name}/{file.name}: no local copy")))
        for path in copies:
            try:
                copy_verified(path, file, Discard())
            except ZipllmError as error:
                worst = max(worst, voice.fail(None, error))
            else:
                if voice.level >= 1:
                    write_stdout(f"{corpus.name}/{file.name}: right ({path})\n")
    return worst


def _places(data_dir: Path | None) -> "Places":
    from zipllm.data.local import Places

    return Places.default(data_dir)


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
