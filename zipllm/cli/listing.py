"""What an archive says about itself, without decoding it: the table, the details and the JSON of ``list``."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO

from zipllm.cli.messages import format_bpb, format_size
from zipllm.cli.results import name_json
from zipllm.container import ArchiveHeader, BlockHeader, End, Limits, ModelHeader, scan
from zipllm.files.names import escape_name

CHECK = "SHA-256"
_COLUMNS = ("Blocks", "Compressed", "Uncompressed", "bpb", "Ratio", "Check", "Model", "Filename")
_BLOCK_COLUMNS = ("Block", "Coding", "Lanes", "Offset", "Compressed", "Uncompressed", "bpb", "Ratio", "CRC32")


@dataclass(frozen=True)
class BlockRow:
    """One block of an archive: where its record begins, how many bytes it takes, and its header."""

    offset: int
    coded_bytes: int
    header: BlockHeader


@dataclass
class Listing:
    """The facts in the headers of one file, which may hold several archives.

    Attributes:
        name: of the file.
        versions: format versions as text, distinct; the values mean nothing.
        block_size: the largest block size any archive allows.
        archives: how many there are.
        codings: blocks by coding.
        coded_bytes: of the whole file.
        raw_bytes: of the content.
        models: id -> bytes of the embedded model file, 0 if it must be found elsewhere.
        local: ids of the models whose numbers are those of one machine: archives that are not portable.
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
    rows: list[BlockRow] = field(default_factory=list)

    @property
    def blocks(self) -> int:
        """How many blocks there are."""
        return self.codings.total()


def read_listing(name: str, source: BinaryIO, limits: Limits, *, rows: bool) -> Listing:
    """Read the headers of a file from its beginning; errors as in ``zipllm.container.scan``.

    Payloads are skipped by seeking if the source can. With ``rows`` every block's header is kept, not only the sums.
    """
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
                listing.codings[block.coding.name.lower()] += 1
                listing.raw_bytes += block.raw_size
                if rows:
                    listing.rows.append(BlockRow(item.offset, item.end_offset - item.offset, block))
            case End() as end:
                listing.sha256.append(end.sha256)
    return listing


def table(listings: Sequence[Listing], names: Mapping[bytes, str]) -> str:
    """Return the table of all files, with a line of totals if there are several; ``names`` of models by id."""
    rows = [_row(listing, names) for listing in listings]
    if len(listings) > 1:
        counts = [(listing.blocks, listing.raw_bytes, listing.coded_bytes) for listing in listings]
        blocks, raw, coded = map(sum, zip(*counts, strict=True))
        rows.append((str(blocks), *_size_cells(raw, coded), CHECK, "", f"{len(listings)} files"))
    return "\n".join(aligned(_COLUMNS, rows, left=("Check", "Model", "Filename"))) + "\n"


def details(listing: Listing, names: Mapping[bytes, str]) -> str:
    """Return all header fields of one file, and its blocks if they were kept; ``names`` of models by id."""
    kinds = ", ".join(f"{count} {coding}" for coding, count in sorted(listing.codings.items()))
    fields = [
        ("Format version", ", ".join(listing.versions)),
        ("Archives", str(listing.archives)),
        ("Blocks", f"{listing.blocks}" + (f" ({kinds})" if kinds else "")),
        ("Block size", f"at most {listing.block_size} bytes"),
        ("Compressed", _long_size(listing.coded_bytes)),
        ("Uncompressed", _long_size(listing.raw_bytes)),
        *zip(("bpb", "Ratio"), _rates(listing.raw_bytes, listing.coded_bytes), strict=True),
        *((f"Check {CHECK}", digest.hex()) for digest in listing.sha256),
        *(("Model", _model_text(listing, model_id, size, names)) for model_id, size in listing.models.items()),
    ]
    lines = [escape_name(listing.name), *(f"  {label + ':':<16} {value}" for label, value in fields)]
    if listing.rows:
        rows = [_block_row(number, row) for number, row in enumerate(listing.rows, 1)]
        lines += ["", *("  " + line for line in aligned(_BLOCK_COLUMNS, rows, left=("Coding", "CRC32")))]
    return "\n".join(lines) + "\n"


def listing_json(listing: Listing) -> dict[str, object]:
    """Return everything as an object of JSON."""
    record: dict[str, object] = {
        "command": "list",
        **name_json("file", listing.name),
        "ok": True,
        "format_versions": list(listing.versions),
        "archives": listing.archives,
        "blocks": listing.blocks,
        "codings": dict(sorted(listing.codings.items())),
        "block_size": listing.block_size,
        "compressed_bytes": listing.coded_bytes,
        "raw_bytes": listing.raw_bytes,
        "bits_per_byte": 8 * listing.coded_bytes / listing.raw_bytes if listing.raw_bytes else None,
        "ratio": listing.raw_bytes / listing.coded_bytes,
        "check": CHECK,
        "sha256": [digest.hex() for digest in listing.sha256],
        "models": [
            {"id": model_id.hex(), "embedded_bytes": size, "portable": model_id not in listing.local}
            for model_id, size in listing.models.items()
        ],
    }
    if listing.rows:
        record["block_list"] = [_block_json(row) for row in listing.rows]
    return record


def _row(listing: Listing, names: Mapping[bytes, str]) -> tuple[str, ...]:
    model = ",".join(_model_name(listing, model_id, names) for model_id in listing.models) or "-"
    sizes = _size_cells(listing.raw_bytes, listing.coded_bytes)
    return (str(listing.blocks), *sizes, CHECK, model, escape_name(listing.name))


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
    header = row.header
    lanes = "-" if header.parameters is None else str(header.parameters.lanes)
    sizes = (str(row.coded_bytes), str(header.raw_size), *_rates(header.raw_size, row.coded_bytes))
    return (str(number), header.coding.name.lower(), lanes, str(row.offset), *sizes, f"{header.raw_crc32:08x}")


def _block_json(row: BlockRow) -> dict[str, object]:
    header = row.header
    return {
        "offset": row.offset,
        "coding": header.coding.name.lower(),
        "lanes": None if header.parameters is None else header.parameters.lanes,
        "compressed_bytes": row.coded_bytes,
        "raw_bytes": header.raw_size,
        "crc32": f"{header.raw_crc32:08x}",
    }


def aligned(columns: Sequence[str], rows: Sequence[tuple[str, ...]], left: Sequence[str]) -> Iterator[str]:
    """Yield a table line by line: each column as wide as its widest cell, those in ``left`` aligned there."""
    widths = [max(map(len, cells)) for cells in zip(columns, *rows, strict=True)]
    for cells in (tuple(columns), *rows):
        padded = (
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, cell, width in zip(columns, cells, widths, strict=True)
        )
        yield "  ".join(padded).rstrip()
