"""Synthetic sound and pictures, and layouts of every kind."""

from dataclasses import replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from zipllm.container.samples import BIG_ENDIAN, PICTURE, SOUND, UNSIGNED, Layout

KINDS = {
    "8-bit unsigned": Layout(SOUND, 0, 0, 1, 1, UNSIGNED),
    "8-bit signed stereo": Layout(SOUND, 0, 0, 2, 1, 0),
    "16-bit": Layout(SOUND, 0, 0, 2, 2, 0),
    "16-bit unsigned": Layout(SOUND, 0, 0, 2, 2, UNSIGNED),
    "16-bit big-endian stereo": Layout(SOUND, 0, 0, 4, 2, BIG_ENDIAN),
    "24-bit": Layout(SOUND, 0, 0, 3, 3, 0),
    "24-bit big-endian stereo": Layout(SOUND, 0, 0, 6, 3, BIG_ENDIAN),
    "gray": Layout(PICTURE, 0, 0, 40, 1),
    "gray, one column": Layout(PICTURE, 0, 0, 1, 1),
    "colour": Layout(PICTURE, 0, 0, 102, 3),
    "colour, padded rows": Layout(PICTURE, 0, 0, 40, 3),
    "colour, one column": Layout(PICTURE, 0, 0, 3, 3),
    "colour and alpha": Layout(PICTURE, 0, 0, 48, 4),
}


def sound(layout: Layout, frames: int, seed: int = 0, noise: float = 0.01) -> bytes:
    """Two tones and noise as samples of a layout."""
    channels, bits = layout.row // layout.sample, 8 * layout.sample
    time = np.arange(frames)[:, None] + 3 * np.arange(channels)[None]
    tones = 0.4 * np.sin(time * 0.09) + 0.3 * np.sin(time * 0.023)
    tones += noise * np.random.default_rng(seed).normal(size=tones.shape)
    values = np.clip(tones * 2 ** (bits - 1), -(2 ** (bits - 1)), 2 ** (bits - 1) - 1).astype(np.int64)
    values += 2 ** (bits - 1) if layout.form & UNSIGNED else 0
    order: Literal["big", "little"] = "big" if layout.form & BIG_ENDIAN else "little"
    signed = not layout.form & UNSIGNED
    return b"".join(int(value).to_bytes(layout.sample, order, signed=signed) for value in values.ravel())


def picture(layout: Layout, rows: int, seed: int = 0) -> bytes:
    """A slope with waves and noise."""
    x, y = np.meshgrid(np.arange(layout.row) // layout.sample, np.arange(rows))
    shades = 90 + 2 * x + 25 * np.sin(y / 5) + 10 * (np.arange(layout.row) % layout.sample)
    shades = shades + np.random.default_rng(seed).normal(size=shades.shape)
    return clipped(shades).tobytes()


def clipped(shades: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Shades as bytes."""
    return np.clip(shades, 0, 255).astype(np.uint8)


def block(kind: str, size: int, begin: int = 0, tail: int = 0) -> tuple[bytes, Layout]:
    """About ``size`` bytes of samples of a kind between other bytes."""
    layout = KINDS[kind]
    rows = -(-size // layout.row)
    samples = sound(layout, rows) if layout.kind == SOUND else picture(layout, rows)
    other = b"A header, or a tail: what is no sample. " * 9
    return other[:begin] + samples + other[:tail], replace(layout, begin=begin, length=rows * layout.row)
