"""Sound, pictures and DNA: blocks that are better predicted sample by sample than byte by byte."""

from dataclasses import replace

from zipllm.codec.block.predicted_block import encode_history_block
from zipllm.codec.block.row_search import binary_style
from zipllm.codec.block.setup import TEXT_STYLE, coding_parameters
from zipllm.codec.options import EncodeOptions
from zipllm.container.block import FULL_MIXER
from zipllm.container.samples import DNA, Layout, dna_layout
from zipllm.media.coding import encode
from zipllm.media.dna_memory import find_dna
from zipllm.media.headers import find_layout
from zipllm.media.trial import find_sound
from zipllm.progress import Advance

_TRIED = 64 * 1024
"""Bytes of samples that are coded both ways first."""
_HELPS = 980
"""As samples they must shrink to this many thousandths of what their history makes of them."""
_HELPS_DNA = 1010
"""A sample of DNA says little about the whole: its repeats lie far apart."""


def code_samples(raw: bytes, options: EncodeOptions, advance: Advance | None) -> tuple[Layout, bytes] | None:
    """Code a block of samples if that makes a part of it markedly smaller than its history does.

    DNA is coded so at every level that has a history, since that is faster, too; sound and pictures by those of the
    full mixer.

    Returns:
        The layout of the block and its payload; None if it is something else.
    """
    if options.history_bits is None:
        return None
    layout = find_dna(raw)
    if layout is None and options.mixer == FULL_MIXER:
        layout = find_layout(raw) or find_sound(raw)
    if layout is None or layout.length * 2 < len(raw) or not _helps(raw, layout, options):
        return None
    return layout, encode(raw, layout, advance)


def _helps(raw: bytes, layout: Layout, options: EncodeOptions) -> bool:
    """Compare on some whole rows from the middle of the samples."""
    rows = layout.length // layout.row
    count = min(rows, max(1, _TRIED // layout.row))
    begin, size = layout.begin + (rows - count) // 2 * layout.row, count * layout.row
    part = raw[begin : begin + size]
    inside = dna_layout(size) if layout.kind == DNA else replace(layout, begin=0, length=size)
    alone = min(
        len(
            encode_history_block(
                part, coding_parameters(size, 1, style, options.history_bits, mixer=options.mixer), None
            )
        )
        for style in (TEXT_STYLE, binary_style(part, options.mixer))
    )
    return len(encode(part, inside)) * 1000 < alone * (_HELPS_DNA if layout.kind == DNA else _HELPS)
