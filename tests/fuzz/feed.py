"""Bytes as a supply of choices: what a fuzzer mutates becomes numbers, names and pieces, always in the same way."""

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")


class Feed:
    """Hands out choices from the front of some bytes; when they are used up, every number is 0."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def __bool__(self) -> bool:
        return self._at < len(self._data)

    def take(self, count: int) -> bytes:
        """The next bytes, fewer at the end."""
        taken = self._data[self._at : self._at + count]
        self._at += count
        return taken

    def number(self, width: int = 1) -> int:
        """The next ``width`` bytes as an integer."""
        return int.from_bytes(self.take(width), "little")

    def below(self, bound: int) -> int:
        """An integer from 0 to ``bound - 1``."""
        return self.number(4 if bound > 1 << 16 else 2 if bound > 1 << 8 else 1) % bound

    def choice(self, items: Sequence[Item]) -> Item:
        """One of the items."""
        return items[self.below(len(items))]

    def piece(self) -> bytes:
        """A short byte string, its length first."""
        return self.take(self.number())

    def rest(self) -> bytes:
        """All that is left."""
        return self.take(len(self._data))


def edited(original: bytes, feed: Feed, most: int = 8) -> bytes:
    """``original`` with a few bytes changed, cut out, put in or doubled."""
    data = bytearray(original)
    for _ in range(1 + feed.below(most)):
        at = feed.below(len(data) + 1)
        match feed.below(5):
            case 0:
                data[at : at + 1] = bytes([feed.number()])
            case 1:
                if at < len(data):
                    data[at] ^= 1 << feed.below(8)
            case 2:
                del data[at : at + 1 + feed.below(64)]
            case 3:
                data[at:at] = feed.piece()
            case 4:
                data[at:at] = data[at : at + 1 + feed.below(64)]
    return bytes(data)
