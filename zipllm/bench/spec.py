"""How users write a codec: ``NAME``, or ``NAME:SETTING/SETTING/...``.

``xz:9e``, ``zstd:19/long``, ``zstd:19/dict=FILE``, ``zipllm:small``, ``zipllm:6``, ``zipllm:small/6/history=off``.
"""

from dataclasses import dataclass

from zipllm.errors import UsageError

_DICTIONARY = "dict="


@dataclass(frozen=True)
class Spec:
    """A codec with its settings.

    Attributes:
        name: of the codec.
        settings: the texts between the slashes, in order.
    """

    name: str
    settings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}:{'/'.join(self.settings)}" if self.settings else self.name


def parse_spec(text: str) -> Spec:
    """Return the codec and settings of one entry.

    Raises:
        UsageError: the entry has no name, or an empty setting.
    """
    name, colon, rest = text.strip().partition(":")
    if not name:
        raise UsageError(f"{text!r} names no codec")
    if not colon:
        return Spec(name)
    begin = rest.find(_DICTIONARY)  # a path has slashes itself, so it comes last
    tail = (rest[begin:],) if begin == 0 or (begin > 0 and rest[begin - 1] == "/") else ()
    head = rest if not tail else rest[: max(0, begin - 1)]
    settings = (*(head.split("/") if head else ()), *tail)
    if not settings or "" in settings[1:]:
        raise UsageError(f"{text!r} has an empty setting; write NAME or NAME:SETTING/SETTING")
    return Spec(name, settings)
