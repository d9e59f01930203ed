"""``zipllm list``: what the headers of archives say, as a table, in full, or as JSON; no model is needed."""

from array import array
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import BinaryIO

from zipllm.cli.jobs import for_each, open_input
from zipllm.cli.messages import format_bpb, format_size
from zipllm.cli.options import ReadingOptions
from zipllm.cli.results import file_json, print_json, write_stdout
from zipllm.cli.tables import aligned
from zipllm.container import ArchiveHeader, BlockHeader, End, Limits, ModelHeader, Scanned, scan
from zipllm.files.names import escape_name, has_suffix

_CHECK = "SHA-256"
_TABLE_ROWS = 10_000
_COLUMNS = ("Blocks", "Compressed", "Uncompressed", "bpb", "Ratio", "Check", "Model", "Filename")
_BLOCK_COLUMNS = ("Block", "Coding", "Lanes", "Offset", "Compressed", "Uncompressed", "bpb", "Ratio", "CRC32")


class ListOptions(ReadingOptions, command="list"):
    """Options of ``list``."""


@dataclass(frozen=True)
class BlockRow:
    """One block of an archive; ``lanes`` is None for a coding without them."""

    offset: int
    coded_bytes: int
    raw_bytes: int
    coding: str
    lanes: int | None
    crc32: int


class BlockRows:
    """The blocks of a file in 41 bytes each, since a block may have a single byte."""

    def __init__(self) -> None:
        self._numbers = array("q")  # offset, coded bytes, raw bytes, lanes, CRC-32 of each
        self._codings = array("B")
        self._names: list[str] = []

    def append(self, item: Scanned, block: BlockHeader) -> None:
        """Add a block."""
        lanes = -1 if block.parameters is None else block.parameters.lanes
        self._numbers.extend((item.offset, item.end_offset - item.offset, block.raw_size, lanes, block.raw_crc32))
        if block.coding_name not in self._names:
            self._names.append(block.coding_name)
        self._codings.append(self._names.index(block.coding_name))

    def __len__(self) -> int:
        """Return the number of blocks."""
        return len(self._codings)

    def __iter__(self) -> Iterator[BlockRow]:
        for index, coding in enumerate(self._codings):
            offset, coded, raw, lanes, crc32 = self._numbers[5 * index : 5 * index + 5]
            yield BlockRow(offset, coded, raw, self._names[coding], None if lanes < 0 else lanes, crc32)


@dataclass
class Listing:
    """The facts in the headers of one file, which may hold several archives.

    Attributes:
        versions: format versions as text, distinct; the values mean nothing.
        block_size: the largest block size any archive allows.
        codings: blocks by coding.
        models: id -> bytes of the embedded model file, 0 if it must be found elsewhere.
        local: ids of models whose archives decode on one machine only.
        sha256: of the content of each archive.
        rows: every block, if asked for.
    """

    name: str
    versions: dict[str, None] = field(default_factory=dict)
    block_size: int = 0
    archives: int = 0
    codings: Counter[str] = field(default_factory=Counter)
    coded_bytes: int = 0
    raw_bytes: int = 0
    models: dict[bytes, int] = field(default_factory=dict)
    local: set[bytes] = field(default_factory=set)
    sha256: list[bytes] = field(default_factory=list)
    rows: BlockRows = field(default_factory=BlockRows)


def list_archives(options: ListOptions) -> int:
    """Show blocks, sizes, bits per byte and model of archives.

    Reads the headers only and needs no model. -v shows every header field and every block.

    $ zipllm list *.zllm
    """
    long = options.verbose > 0
    listings: list[Listing] = []

    def read(name: str) -> None:
        with open_input(name, force=options.force) as source:
            listing = read_listing(source.name, source.stream, options.limits, rows=long)
        if options.json:
            print_json(listing_json(listing), "block_list", map(_block_json, listing.rows))
        else:
            listings.append(listing)

    worst = for_each(options, lambda path: has_suffix(path, options.suffix), read)
    names = model_names() if any(listing.models for listing in listings) else {}
    for index, listing in enumerate(listings if long else []):
        if index:
            write_stdout("\n")
        for part in details(listing, names):
            write_stdout(part)
    if len(listings) > 1 or (listings and not long):
        write_stdout(("\n" if long else "") + table(listings, names))
    return worst


def model_names() -> dict[bytes, str]:
    """Return the name of every model that can be found here, by id."""
    from zipllm.model_file.store import ModelStore

    return {model.model_id: model.name for model in reversed(ModelStore.default().models())}


def read_listing(name: str, source: BinaryIO, limits: Limits, *, rows: bool = False) -> Listing:
    """Read the headers with ``zipllm.container.scan``; with ``rows`` keep that of every block, not only the sums."""
    listing = Listing(name)
    for item in scan(source, limits):
        listing.coded_bytes += item.end_offset - item.offset
        match item.record:
            case ArchiveHeader() as header:
                listing.archives += 1
                listing.block_size = max(listing.block_size, header.block_size)
                listing.versions[f"{header.major}.{header.minor}"] = None
            case ModelHeader() as model if model.local:
                listing.models[model.model_id] = 0
                listing.local.add(model.model_id)
            case ModelHeader() as model:
                listing.models[model.model_id] = max(model.payload_size, listing.models.get(model.model_id, 0))
            case BlockHeader() as block:
                listing.codings[block.coding_name] += 1
                listing.raw_bytes += block.raw_size
                if rows:
                    listing.rows.append(item, block)
            case End() as end:
                listing.sha256.append(end.sha256)
    return listing


def table(listings: Sequence[Listing], names: Mapping[bytes, str]) -> str:
    """Return the table of all files, with a line of totals if there are several; ``names`` of models by id."""
    rows = [_row(listing, names) for listing in listings]
    if len(listings) > 1:
        counts = [(listing.codings.total(), listing.raw_bytes, listing.coded_bytes) for listing in listings]
        blocks, raw, coded = map(sum, zip(*counts, strict=True))
        rows.append((str(blocks), *_size_cells(raw, coded), _CHECK, "", f"{len(listings)} files"))
    return "\n".join(aligned(_COLUMNS, rows, left=("Filename", "Check", "Model"))) + "\n"


def details(listing: Listing, names: Mapping[bytes, str]) -> Iterator[str]:
    """Yield all header fields of one file, and its blocks if they were kept; ``names`` of models by id.

    The blocks come in tables of ``_TABLE_ROWS``, for the sake of memory.
    """
    kinds = ", ".join(f"{count} {coding}" for coding, count in sorted(listing.codings.items()))
    fields = [
        ("Format version", ", ".join(listing.versions)),
        ("Archives", str(listing.archives)),
        ("Blocks", f"{listing.codings.total()}" + (f" ({kinds})" if kinds else "")),
        ("Block size", f"at most {listing.block_size} bytes"),
        ("Compressed", _long_size(listing.coded_bytes)),
        ("Uncompressed", _long_size(listing.raw_bytes)),
        *zip(("bpb", "Ratio"), _rates(listing.raw_bytes, listing.coded_bytes), strict=True),
        *((f"Check {_CHECK}", digest.hex()) for digest in listing.sha256),
        *(("Model", _model_text(listing, model_id, size, names)) for model_id, size in listing.models.items()),
    ]
    yield "".join([f"{escape_name(listing.name)}\n", *(f"  {label + ':':<16} {value}\n" for label, value in fields)])
    rows = (_block_row(number, row) for number, row in enumerate(listing.rows, 1))
    while some := list(islice(rows, _TABLE_ROWS)):
        yield "".join(["\n", *(f"  {line}\n" for line in aligned(_BLOCK_COLUMNS, some, left=("Coding", "CRC32")))])


def listing_json(listing: Listing) -> dict[str, object]:
    """Return everything but the blocks as an object of JSON."""
    return file_json("list", listing.name) | {
        "format_versions": list(listing.versions),
        "archives": listing.archives,
        "blocks": listing.codings.total(),
        "codings": dict(sorted(listing.codings.items())),
        "block_size": listing.block_size,
        "compressed_bytes": listing.coded_bytes,
        "raw_bytes": listing.raw_bytes,
        "bits_per_byte": 8 * listing.coded_bytes / listing.raw_bytes if listing.raw_bytes else None,
        "ratio": listing.raw_bytes / listing.coded_bytes,
        "check": _CHECK,
        "sha256": [digest.hex() for digest in listing.sha256],
        "models": [
            {"id": model_id.hex(), "embedded_bytes": size, "portable": model_id not in listing.local}
            for model_id, size in listing.models.items()
        ],
    }


def _row(listing: Listing, names: Mapping[bytes, str]) -> tuple[str, ...]:
    model = ",".join(_model_name(listing, model_id, names) for model_id in listing.models) or "-"
    sizes = _size_cells(listing.raw_bytes, listing.coded_bytes)
    return (str(listing.codings.total()), *sizes, _CHECK, model, escape_name(listing.name))


def _size_cells(raw: int, coded: int) -> tuple[str, ...]:
    return (format_size(coded), format_size(raw), *_rates(raw, coded))


def _rates(raw: int, coded: int) -> tuple[str, str]:
    return (format_bpb(8 * coded / raw), f"{raw / coded:.3f}") if raw else ("-", "-")


def _long_size(size: int) -> str:
    return f"{size} bytes" + (f" ({format_size(size)})" if size >= 1000 else "")


def _model_name(listing: Listing, model_id: bytes, names: Mapping[bytes, str]) -> str:
    return "not portable" if model_id in listing.local else escape_name(names.get(model_id, model_id.hex()[:8]))


def _model_text(listing: Listing, model_id: bytes, embedded: int, names: Mapping[bytes, str]) -> str:
    if model_id in listing.local:
        return f"{model_id.hex()} (not portable: floats of the machine that wrote it)"
    name = f"{escape_name(names[model_id])}, " if model_id in names else ""
    return f"{model_id.hex()} ({name}{f'embedded, {embedded} bytes' if embedded else 'not embedded'})"


def _block_row(number: int, row: BlockRow) -> tuple[str, ...]:
    lanes = "-" if row.lanes is None else str(row.lanes)
    sizes = (str(row.coded_bytes), str(row.raw_bytes), *_rates(row.raw_bytes, row.coded_bytes))
    return (str(number), row.coding, lanes, str(row.offset), *sizes, f"{row.crc32:08x}")


def _block_json(row: BlockRow) -> dict[str, object]:
    return {
        "offset": row.offset,
        "coding": row.coding,
        "lanes": row.lanes,
        "compressed_bytes": row.coded_bytes,
        "raw_bytes": row.raw_bytes,
        "crc32": f"{row.crc32:08x}",
    }
