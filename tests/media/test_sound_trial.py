"""Sound without a header is found with its size, order, channels and phase; other data are not sound."""

import random
from dataclasses import replace

import numpy as np
import pytest

from tests.media.synthetic import sound
from zipllm.container.samples import BIG_ENDIAN, SOUND, UNSIGNED, Layout
from zipllm.media.trial import find_sound

FORMS = [
    (1, UNSIGNED, 1),
    (1, UNSIGNED, 2),
    *((sample, form, channels) for sample in (2, 3) for form in (0, BIG_ENDIAN) for channels in (1, 2)),
]


def two_voices(layout: Layout, frames: int) -> bytes:
    """A sound whose channels have nothing to do with each other."""
    if layout.row == layout.sample:
        return sound(layout, frames)
    mono = replace(layout, row=layout.sample)
    voices = sound(mono, frames), sound(mono, 2 * frames)[frames * layout.sample :]
    parts = [np.frombuffer(voice, dtype=np.uint8).reshape(frames, layout.sample) for voice in voices]
    return np.concatenate(parts, axis=1).tobytes()


@pytest.mark.parametrize("phase", [0, 1, 2])
@pytest.mark.parametrize(("sample", "form", "channels"), FORMS)
def test_sound_is_found(sample: int, form: int, channels: int, phase: int) -> None:
    layout = Layout(SOUND, 0, 0, sample * channels, sample, form)
    raw = b"\x31\x92"[:phase] + two_voices(layout, 12_000)
    found = find_sound(raw)
    begin = phase % sample
    row = sample * channels
    assert found == replace(layout, begin=begin, length=(len(raw) - begin) // row * row)


@pytest.mark.parametrize("size", [0, 1, 100, 300, 5000, 100_000])
def test_neither_text_nor_noise_is_sound(size: int) -> None:
    words = ("the", "of", "and", "to", "in", "that", "is", "was", "he", "for", "it", "with", "as", "his")
    generator = random.Random(5)
    text = " ".join(generator.choice(words) for _ in range(size)).encode()[:size]
    assert find_sound(text) is None
    assert find_sound(generator.randbytes(size)) is None


@pytest.mark.parametrize("size", [240, 1000, 4091, 4092, 9000, 40_000])
def test_short_sound(size: int) -> None:
    raw = sound(Layout(SOUND, 0, 0, 2, 2), size // 2)
    found = find_sound(raw)
    assert found is not None
    assert found.fits(len(raw))
    assert (found.row, found.sample, found.form, found.begin) == (2, 2, 0, 0)
