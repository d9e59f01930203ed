"""A range of the original bytes, from the blocks that hold it."""

from collections import Counter

from zipllm.codec.decoder import EmbeddedLoader
from zipllm.codec.reading.random_access import RandomAccess
from zipllm.codec.streams import Writable, write_all
from zipllm.container import Coding, ContentHash, Limits, ModelHeader, Seekable
from zipllm.engine.engine import EngineFinder, engine_from_model_file
from zipllm.errors import UsageError
from zipllm.progress import Progress, ProgressCallback, Summary


def extract_range(
    source: Seekable,
    sink: Writable,
    start: int,
    stop: int | None,
    *,
    engines: EngineFinder,
    limits: Limits | None = None,
    embedded: EmbeddedLoader = engine_from_model_file,
    progress: ProgressCallback | None = None,
) -> Summary:
    """Write the original bytes from ``start`` up to and without ``stop``, decoding only the blocks that hold them.

    Each block is checked by its CRC-32; the SHA-256 of the whole content is not.

    Args:
        source: at the first byte of an archive; has to seek.
        sink: binary.
        start: offset of the first byte.
        stop: offset of the first byte that is not wanted; None or behind the end: all that is left.
        engines: gives the engine of a model_id.
        limits: what is refused although it is intact.
        embedded: makes an engine of the model file that an archive carries; used when ``engines`` finds none.
        progress: told about the work done.

    Raises:
        UsageError: ``start`` lies behind the end.
        ZipllmError: as ``decompress_stream``, for the record headers and the blocks that are needed.
    """
    access = RandomAccess(source, engines=engines, limits=limits, embedded=embedded)
    if start > access.size:
        raise UsageError(f"the range begins at byte {start}, the archive holds {access.size} bytes")
    written, coded = ContentHash(), 0
    codings: Counter[str] = Counter()
    models: dict[bytes, None] = {}
    for place, piece in access.pieces(start, access.size if stop is None else stop):
        write_all(sink, piece)
        written.update(piece)
        coded += place.item.end_offset - place.item.offset
        codings[place.header.coding.name.lower()] += 1
        if place.header.coding is Coding.MODEL and place.model is not None:
            assert isinstance(place.model.record, ModelHeader)
            models[place.model.record.model_id] = None
        if progress is not None:
            progress(Progress("decode", written.size, written.size, coded))
    return Summary(written.size, coded, 1, dict(codings), tuple(models), written.digest())
