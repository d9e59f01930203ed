"""What the user types for a codec: ``NAME``, or ``NAME:SETTING/SETTING/...``.

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
        settings: what was between the slashes, in order.
    """

    name: str
    settings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.name}:{'/'.join(self.settings)}" if self.settings else self.name


@dataclass(frozen=True)
class ZipllmSettings:
    """The settings of a ``zipllm`` entry.

    Attributes:
        model: name, path or id; None for the default model.
        options: further ``EncodeOptions``, by name: ``level``, ``history``, ``lanes``, ``block_size``.
    """

    model: str | None
    options: dict[str, int | bool]


def parse_spec(text: str) -> Spec:
    """Return the codec and settings of one entry.

    Raises:
        UsageError: it has no name, or an empty setting.
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


def zipllm_settings(spec: Spec) -> ZipllmSettings:
    """Sort the settings of a ``zipllm`` entry: ``level=6`` or just ``6``, ``history=off``, and the model.

    Raises:
        UsageError: an unknown setting, or a value that is none.
    """
    options: dict[str, int | bool] = {}
    settings = list(spec.settings)
    while settings:
        last = settings[-1]
        name, equals, value = last.partition("=")
        if last in set("123456789") and "level" not in options:
            options["level"] = int(last)
        elif equals:
            options[name] = _value(spec, name, value)
        else:
            break
        settings.pop()
    return ZipllmSettings("/".join(settings) or None, options)


def _value(spec: Spec, name: str, value: str) -> int | bool:
    if value in ("on", "off"):
        return value == "on"
    if value.isascii() and value.isdigit():
        return int(value)
    raise UsageError(f"{spec}: {name}={value} is neither a number nor on or off")
