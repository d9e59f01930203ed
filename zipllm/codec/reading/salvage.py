"""The intact blocks of a damaged archive, each at its place; lost ones are named and filled with zeros."""

from collections import Counter
from collections.abc import Callable

from zipllm.codec.block_decoding import decode_block
from zipllm.codec.decoder import DecodeOptions
from zipllm.container import (
    Block,
    BlockHeader,
    ContentHash,
    Found,
    Hole,
    ModelHeader,
    Scanned,
    Seekable,
    read_payload,
    scan,
    survey,
)
from zipllm.container.model_record import ModelRecord
from zipllm.container.streams import Writable, write_all
from zipllm.engine.engine import Engine, LazyEngine
from zipllm.errors import CorruptData, UnsupportedData
from zipllm.progress import Lost, Progress, ProgressCallback, Summary

_ZEROS = bytes(1 << 16)


def salvage_stream(
    source: Seekable,
    sink: Writable,
    *,
    options: DecodeOptions | None = None,
    fallback: Callable[[], Engine] | None = None,
    progress: ProgressCallback | None = None,
) -> Summary:
    """Decode every intact block; each one's CRC-32 is checked, so no wrong byte is written as original.

    A lost block becomes zeros of its size, so that everything after it stays in place. A gap of unknown size is left
    out.

    Args:
        source: seekable, at the first byte of an archive.
        sink: binary.
        options: see ``DecodeOptions``; the zeros count as output, ``workers`` is ignored.
        fallback: the engine to try where the record that names the model is lost.
        progress: told about the work done.

    Returns:
        What was written; ``lost`` names all damage.

    Raises:
        CorruptData: no block is intact.
        LimitExceeded: larger than a limit allows.
        ModelError: a model cannot be loaded.
    """
    begin = source.tell()
    salvage = _Salvage(source, sink, options or DecodeOptions(), fallback, progress)
    archives = survey(source, salvage.limits)
    salvage.coded_bytes = source.seek(0, 2) - begin
    for found in archives:
        salvage.archive(found)
    source.seek(begin)
    salvage.compare(source)
    summary = salvage.summary(len(archives))
    if summary.lost and not summary.blocks:
        raise CorruptData(f"nothing can be salvaged: {summary.lost[0].reason}")
    return summary


class _Salvage:
    """Writes archive after archive and remembers what was lost."""

    def __init__(
        self,
        source: Seekable,
        sink: Writable,
        options: DecodeOptions,
        fallback: Callable[[], Engine] | None,
        progress: ProgressCallback | None,
    ) -> None:
        self._source, self._sink = source, sink
        self._options, self._progress = options, progress
        self.limits = options.limits
        self._fallback = None if fallback is None else LazyEngine(fallback)
        self._total = ContentHash()
        self._content = ContentHash()
        self._codings: Counter[str] = Counter()
        self._models: dict[bytes, None] = {}
        self._lost: list[Lost] = []
        self.coded_bytes = 0

    def summary(self, archives: int) -> Summary:
        """What has been written."""
        return Summary(
            raw_bytes=self._total.size,
            coded_bytes=self.coded_bytes,
            archives=archives,
            codings=dict(self._codings),
            model_ids=tuple(self._models),
            sha256=self._total.digest(),
            lost=tuple(self._lost),
        )

    def archive(self, found: Found) -> None:
        """Write one archive as far as it was found."""
        self._content = ContentHash()
        before = len(self._lost)
        engine, length = self._fallback, _hole_size(found)
        for part in found.parts:
            if isinstance(part, Hole):
                self._fill(length, f"{part.reason} (bytes {part.offset} to {part.end_offset} of the archive)")
            elif isinstance(part.record, BlockHeader):
                self._block(part, part.record, engine)
            elif isinstance(part.record, ModelHeader):
                self._models[part.record.model_id] = None
                engine = self._named(part, part.record)
        if found.end is None or self._content.digest() != found.end.sha256:
            if len(self._lost) == before:
                self._lost.append(Lost(None, None, "the SHA-256 differs: blocks are missing, doubled or exchanged"))
        elif all(lost.end is None for lost in self._lost[before:]):  # the digest is right: the gaps held no blocks
            known = [Lost(lost.begin, lost.begin, lost.reason) for lost in self._lost[before:]]
            self._lost[before:] = known

    def compare(self, source: Seekable) -> None:
        """Note totals that contradict each other, which a reader of whole archives would refuse."""
        try:
            for _ in scan(source, self.limits):
                pass
        except (CorruptData, UnsupportedData) as error:
            if not self._lost:
                self._lost.append(Lost(None, None, str(error)))

    def _block(self, item: Scanned, header: BlockHeader, engine: LazyEngine | None) -> None:
        try:
            raw = decode_block(Block(header, read_payload(self._source, item)), engine, None)
        except (CorruptData, UnsupportedData) as error:
            self._fill(header.raw_size, str(error))
            return
        self._write(raw)
        self._codings[header.coding.name.lower()] += 1

    def _named(self, item: Scanned, header: ModelHeader) -> LazyEngine:
        def model() -> ModelRecord:
            return header.with_payload(read_payload(self._source, item))

        try:
            model()
        except CorruptData as error:
            self._fill(0, str(error))
        return self._options.engine_of(model)

    def _fill(self, size: int | None, reason: str) -> None:
        begin = self._total.size
        self._lost.append(Lost(begin, None if size is None else begin + size, reason))
        self.limits.check_output(begin + (size or 0), self.coded_bytes)
        left = size or 0
        while left:
            self._write(_ZEROS[:left])
            left -= min(left, len(_ZEROS))

    def _write(self, raw: bytes) -> None:
        self.limits.check_output(self._total.size + len(raw), self.coded_bytes)
        write_all(self._sink, raw)
        self._content.update(raw)
        self._total.update(raw)
        if self._progress is not None:
            self._progress(Progress("decode", self._total.size, self._total.size, self.coded_bytes))


def _hole_size(found: Found) -> int | None:
    """Return the original bytes that one hole replaces, if known."""
    if found.size is None:
        return None
    missing = max(0, found.size - found.found_size)
    return missing if missing == 0 or len(found.holes) == 1 else None
