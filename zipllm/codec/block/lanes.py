"""A block is cut into lanes that are coded side by side, each with a context of its own.

The cut depends only on the block's size and the number of lanes, so an archive stores just that number. A lane ends
when its bytes are complete, so no token counts are stored either.
"""

LANE_BYTES = 16 * 1024
"""A lane starts without context, which costs 4 to 8 bytes with the default model: 0.15 % at this length."""

DEFAULT_MAX_LANES = 16
"""Enough rows for the matrix products, few enough for a decoder's keys and values to stay in 32 MB of cache: with the
default model 16 lanes decode a tenth faster than 64 (benchmarks/LOG.md, 2026-11-26)."""


def default_lanes(raw_size: int, most: int = DEFAULT_MAX_LANES) -> int:
    """Return the default number of lanes: one below 32 KiB, then one per 16 KiB, at most ``most``."""
    return max(1, min(most, raw_size // LANE_BYTES))


def lane_count(raw_size: int, wanted: int | None, most: int = DEFAULT_MAX_LANES) -> int:
    """Return the wanted or the default number of lanes, but no more than the block has bytes."""
    return min(wanted or default_lanes(raw_size, most), max(1, raw_size))


def lane_sizes(raw_size: int, lanes: int) -> list[int]:
    """Return the size of each lane in bytes; sizes differ by at most one, and none is 0.

    Requires ``raw_size >= lanes >= 1``, which readers check first.
    """
    assert raw_size >= lanes >= 1
    return [raw_size * (lane + 1) // lanes - raw_size * lane // lanes for lane in range(lanes)]


def split(data: bytes, lanes: int) -> list[bytes]:
    """Cut a block into its lanes; joining them gives the block back."""
    pieces, begin = [], 0
    for size in lane_sizes(len(data), lanes):
        pieces.append(data[begin : begin + size])
        begin += size
    return pieces
