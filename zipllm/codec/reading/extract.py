"""A range of the original bytes, from the blocks that hold it."""

from collections import Counter

from zipllm.codec.decoder import DecodeOptions
from zipllm.codec.reading.random_access import RandomAccess
from zipllm.container import Coding, ContentHash, ModelHeader, Seekable
from zipllm.container.streams import Writable, write_all
from zipllm.errors import UsageError
from zipllm.progress import Progress, ProgressCallback, Summary


def extract_range(
    source: Seekable,
    sink: Writable,
    start: int,
    stop: int | None,
    *,
    options: DecodeOptions | None = None,
    progress: ProgressCallback | None = None,
) -> Summary:
    """Write the original bytes from ``start`` up to, not including, ``stop``; decode only the blocks that hold them.

    Each of these blocks is checked by its CRC-32; the SHA-256 of the whole content is not checked.

    Args:
        source: seekable, at the first byte of an archive.
        sink: binary.
        start: offset of the first byte.
        stop: offset of the first byte after the range; None or past the end: all that is left.
        options: see ``DecodeOptions``; ``workers`` is ignored.
        progress: told about the work done.

    Raises:
        UsageError: ``start`` lies past the end.
        ZipllmError: as ``decompress_stream``, for the record headers and the blocks of the range.
    """
    access = RandomAccess(source, options)
    if start > access.size:
        raise UsageError(f"the range begins at byte {start}, the archive holds {access.size} bytes")
    written, coded = ContentHash(), 0
    codings: Counter[str] = Counter()
    models: dict[bytes, None] = {}
    for place, piece in access.pieces(start, access.size if stop is None else stop):
        write_all(sink, piece)
        written.update(piece)
        coded += place.item.end_offset - place.item.offset
        codings[place.header.kind_name] += 1
        if place.header.coding is Coding.MODEL and place.model is not None:
            assert isinstance(place.model.record, ModelHeader)
            models[place.model.record.model_id] = None
        if progress is not None:
            progress(Progress("decode", written.size, written.size, coded))
    return Summary(written.size, coded, 1, dict(codings), tuple(models), written.digest())
