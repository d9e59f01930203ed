"""The layout of a TIFF file: one uncompressed picture whose strips follow each other."""

import struct

from zipllm.container.samples import PICTURE, Layout

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _STRIPS = 256, 257, 258, 259, 262, 273
_SAMPLES, _ROWS_PER_STRIP, _PLANAR, _PREDICTOR = 277, 278, 284, 317
_SHORT, _LONG = 3, 4
_SIZES = {_SHORT: (2, "H"), _LONG: (4, "I")}
_MOST_VALUES = 1 << 16

Fields = dict[int, tuple[int, ...]]


def tiff_layout(raw: bytes) -> Layout | None:
    """Return the layout of a TIFF file's first picture, not yet clipped, or None.

    Raises:
        struct.error: the header is cut off.
    """
    fields = _fields(raw, "<" if raw[:2] == b"II" else ">")
    width, height, strips = (fields.get(name, ()) for name in (_WIDTH, _HEIGHT, _STRIPS))
    pixel = _first(fields, _SAMPLES, 1)
    if not (width and height and strips and pixel in (1, 3, 4) and set(fields.get(_BITS, (1,))) == {8}):
        return None
    plain = (
        _first(fields, _COMPRESSION, 1) == 1
        and _first(fields, _PHOTOMETRIC, 1) <= 2
        and _first(fields, _PLANAR, 1) == 1
        and _first(fields, _PREDICTOR, 1) == 1
    )
    row = width[0] * pixel
    step = min(_first(fields, _ROWS_PER_STRIP, height[0]), height[0]) * row
    in_one_run = all(strip == strips[0] + index * step for index, strip in enumerate(strips))
    return Layout(PICTURE, strips[0], row * height[0], row, pixel) if plain and in_one_run else None


def _first(fields: Fields, name: int, otherwise: int) -> int:
    values = fields.get(name)
    return values[0] if values else otherwise


def _fields(raw: bytes, order: str) -> Fields:
    """Return the whole numbers of the first directory, by tag; long lists are left out."""
    place = struct.unpack_from(order + "I", raw, 4)[0]
    count = struct.unpack_from(order + "H", raw, place)[0]
    fields: Fields = {}
    for entry in range(place + 2, place + 2 + 12 * count, 12):
        name, kind, length = struct.unpack_from(order + "HHI", raw, entry)
        if kind in _SIZES and length <= _MOST_VALUES:
            size, letter = _SIZES[kind]
            where = entry + 8 if size * length <= 4 else struct.unpack_from(order + "I", raw, entry + 8)[0]
            fields[name] = struct.unpack_from(f"{order}{length}{letter}", raw, where)
    return fields
