"""Which layouts a reader accepts."""

from dataclasses import replace

import pytest

from tests.media.synthetic import KINDS
from zipllm.container.samples import BIG_ENDIAN, MOST_ROW, PICTURE, SOUND, UNSIGNED, Layout
from zipllm.errors import CorruptData
from zipllm.media.coding import decode, encode

SIZE = 1 << 20


@pytest.mark.parametrize("kind", KINDS)
def test_layouts_of_every_kind(kind: str) -> None:
    layout = KINDS[kind]
    assert replace(layout, begin=SIZE, length=0).fits(SIZE)
    assert replace(layout, length=SIZE // layout.row * layout.row).fits(SIZE)


@pytest.mark.parametrize(
    "layout",
    [
        Layout(0, 0, 4, 1, 1),
        Layout(5, 0, 4, 1, 1),
        Layout(SOUND, -1, 4, 1, 1),
        Layout(SOUND, 0, -1, 1, 1),
        Layout(SOUND, 0, SIZE + 1, 1, 1),
        Layout(SOUND, SIZE, 1, 1, 1),
        Layout(SOUND, 0, 5, 2, 2),
        Layout(SOUND, 0, 6, 3, 1),
        Layout(SOUND, 0, 8, 4, 4),
        Layout(SOUND, 0, 0, 0, 0),
        Layout(SOUND, 0, 4, 1, 1, BIG_ENDIAN),
        Layout(SOUND, 0, 4, 2, 2, 2 * UNSIGNED),
        Layout(SOUND, 0, 4, 2, 2, -1),
        Layout(PICTURE, 0, 4, 0, 1),
        Layout(PICTURE, 0, 4, -4, 1),
        Layout(PICTURE, 0, 4, 2, 2),
        Layout(PICTURE, 0, 4, 2, 3),
        Layout(PICTURE, 0, 5, 4, 1),
        Layout(PICTURE, 0, 4, 4, 1, 1),
        Layout(PICTURE, 0, 0, MOST_ROW + 1, 1),
    ],
    ids=str,
)
def test_impossible_layouts(layout: Layout) -> None:
    assert not layout.fits(SIZE)
    with pytest.raises(CorruptData, match="impossible layout"):
        encode(bytes(SIZE), layout)
    with pytest.raises(CorruptData, match="impossible layout"):
        decode(bytes(8), SIZE, layout)
