"""``zipllm list``: what is in archives, from their headers alone; no model is needed."""

from collections.abc import Sequence

from zipllm.cli.jobs import for_each, open_input
from zipllm.cli.listing import Listing, details, listing_json, read_listing, table
from zipllm.cli.options import ReadingOptions
from zipllm.cli.results import print_json, write_stdout
from zipllm.files.names import has_suffix


class ListOptions(ReadingOptions, command="list"):
    """Options of ``list``."""


def list_archives(options: ListOptions) -> int:
    """Show blocks, sizes, bits per byte and model of archives.

    Reads the headers only and needs no model. -v shows every header field and every block.
    """
    limits, long = options.limits, options.verbose > 0
    listings: list[Listing] = []

    def read(name: str) -> None:
        with open_input(name, force=options.force) as source:
            listing = read_listing(source.name, source.stream, limits, rows=long)
        if options.json:
            print_json(listing_json(listing))
        else:
            listings.append(listing)

    worst = for_each(options, lambda path: has_suffix(path, options.suffix), read)
    _print(listings, long=long)
    return worst


def _print(listings: Sequence[Listing], *, long: bool) -> None:
    if not listings:
        return
    names = model_names() if any(listing.models for listing in listings) else {}
    if long:
        write_stdout("\n".join(details(listing, names) for listing in listings))
    if not long or len(listings) > 1:
        write_stdout(("\n" if long else "") + table(listings, names))


def model_names() -> dict[bytes, str]:
    """Return the name of every model that can be found here, by id."""
    from zipllm.model_file.store import ModelStore

    return {model.model_id: model.name for model in reversed(ModelStore.default().models())}
