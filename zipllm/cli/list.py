"""``zipllm list``: what is in archives, from their headers alone; no model is needed."""

from collections.abc import Sequence

from zipllm.cli import backend, options
from zipllm.cli.jobs import for_each, open_input
from zipllm.cli.listing import Listing, details, listing_json, read_listing, table
from zipllm.cli.results import print_json, write_stdout
from zipllm.cli.voice import Voice, finish
from zipllm.files.names import SUFFIX, has_suffix


def list_archives(
    files: options.Files = None,
    recursive: options.Recursive = False,
    force: options.ForceRead = False,
    suffix: options.Suffix = SUFFIX,
    max_output: options.MaxOutput = None,
    max_memory: options.MaxMemory = None,
    quiet: options.Quiet = 0,
    verbose: options.Verbose = 0,
    json: options.Json = False,
) -> None:
    """Show blocks, sizes, bits per byte and model of archives.

    Reads the headers only and needs no model. -v shows every header field and every block.
    """
    voice = Voice("list", 1 + verbose - quiet, progress=False, json=json)

    def run() -> int:
        policy = options.FilePolicy(force=force, recursive=recursive, suffix=suffix)
        limits = backend.limits(max_output, max_memory)
        listings: list[Listing] = []

        def read(name: str) -> None:
            with open_input(name, policy, writes_archive=False, derives_name=False) as source:
                listing = read_listing(source.name, source.stream, limits, rows=verbose > 0)
            if json:
                print_json(listing_json(listing))
            else:
                listings.append(listing)

        worst = for_each(files or ["-"], lambda path: has_suffix(path, suffix), policy, voice, read)
        _print(listings, long=verbose > 0)
        return worst

    finish(voice, run)


def _print(listings: Sequence[Listing], *, long: bool) -> None:
    if not listings:
        return
    names = backend.model_names() if any(listing.models for listing in listings) else {}
    if long:
        write_stdout("\n".join(details(listing, names) for listing in listings))
    if not long or len(listings) > 1:
        write_stdout(("\n" if long else "") + table(listings, names))
