"""A model's card: what it is, its origin and its measurements, stored in its file and shown as Markdown.

The card is not part of ``model_id``: correcting it leaves every archive decodable.
"""

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from zipllm.errors import ModelInvalid
from zipllm.model.config import NetworkConfig
from zipllm.model_file.canonical_json import dump_json
from zipllm.model_file.limits import MAX_CARD_BYTES

_UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]")
"""Terminal escapes, invisible and direction-changing characters, and lone surrogates."""

UNKNOWN = "not recorded"
UNKNOWN_DATA = "unknown training data"
"""The source on the card of a model that others trained."""

_HOW_TO_DECODE = """## How to decode

    zipllm decompress FILE.zllm --model {name}.safetensors

An archive names the `model_id` it needs. A model that is shipped, installed with `zipllm model import`, or
embedded in the archive is found by itself; any other model than the one named is refused."""

Table = Callable[[Sequence[str], Sequence[tuple[str, ...]]], str]
"""From the heads of columns, empty where they have none, and rows to a table as text."""

_WORDS = {str: "a text", int: "an integer", float: "a number"}


@dataclass(frozen=True)
class DataSource:
    """One part of the training data: its name, licence (SPDX where there is one), size and origin."""

    name: str
    licence: str
    bytes: int = 0
    note: str = ""


@dataclass(frozen=True)
class DomainResult:
    """Bits per byte on held-out data of one domain, for the float model and for the integer model that codes."""

    domain: str
    bytes: int
    float_bpb: float
    integer_bpb: float

    def __post_init__(self) -> None:
        _make_float(self, "float_bpb", "integer_bpb")

    @property
    def gap(self) -> float:
        """Cost of the step to integers, as a fraction of the float model's bits (0.002 is 0.2 %)."""
        return self.integer_bpb / self.float_bpb - 1.0 if self.float_bpb > 0 else 0.0


@dataclass(frozen=True)
class Card:
    """Facts about a model; empty strings and zeros mean "not recorded".

    Attributes:
        name: short name, also the default file name.
        summary: one or two sentences.
        licence: of the weights.
        sources: training data.
        steps: optimizer steps.
        tokens: tokens seen in training, repeats counted.
        seconds: wall time of training.
        machine: what it was trained on.
        recipe: command or file that makes it again.
        results: bits per byte by domain.
        limits: known limits, one sentence each.

    Raises:
        ValueError: a number is negative or not finite, a text has control characters, or the whole is
            larger than 16 KiB as JSON.
    """

    name: str
    summary: str = ""
    licence: str = ""
    sources: tuple[DataSource, ...] = ()
    steps: int = 0
    tokens: int = 0
    seconds: float = 0.0
    machine: str = ""
    recipe: str = ""
    results: tuple[DomainResult, ...] = ()
    limits: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_name(self.name)
        _make_float(self, "seconds")
        _check_value("card", asdict(self))
        size = len(dump_json(self.to_dict()))
        if size > MAX_CARD_BYTES:
            raise ValueError(f"card is {size} bytes of JSON, more than the {MAX_CARD_BYTES} allowed")

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        value = asdict(self)
        return {**value, **{name: list(value[name]) for name in ("sources", "results", "limits")}}


def check_name(name: str) -> None:
    """Refuse a model name that could not be a plain file name everywhere.

    Raises:
        ValueError: not 1 to 64 of ``a-z 0-9 . _ -``, beginning with a letter or digit.
    """
    allowed = set("abcdefghijklmnopqrstuvwxyz0123456789._-")
    if not 1 <= len(name) <= 64 or set(name) - allowed or name[0] in "._-":
        raise ValueError(f"model name {name[:80]!r} is not 1 to 64 of a-z 0-9 . _ - beginning with a letter or digit")


def card_from_dict(value: object) -> Card:
    """Restore a card from a model file. Raises ``ModelInvalid`` for missing, unknown or impossible fields."""
    members = dict(_fields(value, "card", Card))
    try:
        members["sources"] = tuple(_each(members["sources"], "card.sources", DataSource))
        members["results"] = tuple(_each(members["results"], "card.results", DomainResult))
        members["limits"] = tuple(_list(members["limits"], "card.limits"))
        if any(not isinstance(limit, str) for limit in members["limits"]):
            raise ValueError("card.limits are not texts")
        return Card(**members)
    except ValueError as error:
        raise ModelInvalid(str(error)) from error


def card_page(
    card: Card, facts: Sequence[tuple[str, str]], table: Table, escape: Callable[[str], str], *behind: str
) -> str:
    """Return a card as text under Markdown's headings.

    Args:
        card: shown.
        facts: names and values, the values escaped.
        table: lays out rows.
        escape: makes a text harmless, since a card may come from anywhere.
        behind: sections between training and limits.
    """
    results = [
        (escape(r.domain), f"{r.bytes:,}", f"{r.float_bpb:.4f}", f"{r.integer_bpb:.4f}", f"{r.gap:+.2%}")
        for r in card.results
    ]
    sources = [(escape(s.name), f"{s.bytes:,}", escape(s.licence), escape(s.note)) for s in card.sources]
    training = (
        ("steps", f"{card.steps:,}" if card.steps else UNKNOWN),
        ("tokens", f"{card.tokens:,}" if card.tokens else UNKNOWN),
        ("time", f"{card.seconds / 3600:.2f} hours" if card.seconds else UNKNOWN),
        ("machine", escape(card.machine or UNKNOWN)),
        ("recipe", escape(card.recipe or UNKNOWN)),
    )
    measured = table(("held-out data", "bytes", "float model", "integer model", "gap"), results)
    sections = (
        f"# {escape(card.name)}",
        escape(card.summary),
        table(("", ""), facts),
        "## Bits per byte",
        f"The integer model is the one that codes files.\n\n{measured}" if results else "Not measured.",
        "## Training data",
        table(("source", "bytes", "licence", "note"), sources) if sources else "Not recorded.",
        "## Training",
        table(("", ""), training),
        *behind,
        "## Limits" if card.limits else "",
        "\n".join(f"* {escape(limit)}" for limit in card.limits),
    )
    return "\n\n".join(filter(None, sections)) + "\n"


def render_card(card: Card, config: NetworkConfig, model_id: bytes, file_bytes: int) -> str:
    """Return the card of a model file of ``file_bytes`` as a Markdown page."""
    body, embedding = config.parameter_counts()
    facts = (
        ("model_id", f"`{model_id.hex()}`"),
        ("parameters", f"{body:,} in the layers, {embedding:,} in the embeddings"),
        ("shape", f"{config.shape}, window {config.window} tokens" if config.window else config.shape),
        ("vocabulary", f"{config.vocabulary_size:,} tokens"),
        ("file size", f"{file_bytes:,} bytes"),
        ("licence of the weights", _escape(card.licence or UNKNOWN)),
    )
    return card_page(card, facts, _table, _escape, _HOW_TO_DECODE.format(name=card.name))


def _table(columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (columns, ("---",) * len(columns), *rows))


def _escape(text: str) -> str:
    """Neutralize HTML, and Markdown that could change the page's structure or add links."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for character in "\\`*[]|#!":
        text = text.replace(character, "\\" + character)
    return text


def _each(value: object, where: str, kind: Callable[..., Any]) -> list[Any]:
    return [kind(**_fields(item, f"{where}[{index}]", kind)) for index, item in enumerate(_list(value, where))]


def _list(value: object, where: str) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError(f"{where} is not a list")
    return value


def _fields(value: object, where: str, kind: Any) -> dict[str, Any]:
    """Check that an object has exactly the fields of a dataclass, each of its type."""
    types = {field.name: field.type for field in kind.__dataclass_fields__.values()}
    if not isinstance(value, dict) or set(value) != set(types):
        raise ModelInvalid(f"{where} does not have exactly the fields {', '.join(types)}")
    for name, wanted in types.items():
        given, words = value[name], _WORDS.get(wanted)
        accepted = (int, float) if wanted is float else wanted
        if words and (isinstance(given, bool) or not isinstance(given, accepted)):
            raise ModelInvalid(f"{where}.{name} is not {words}")
    return value


def _make_float(instance: object, *names: str) -> None:
    """Turn int into float, so that equal cards have one spelling."""
    for name in names:
        object.__setattr__(instance, name, float(getattr(instance, name)))


def _check_value(where: str, value: Any) -> None:
    if isinstance(value, dict):
        for name, item in value.items():
            _check_value(f"{where}.{name}", item)
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            _check_value(f"{where}[{index}]", item)
    elif isinstance(value, str):
        if _UNSAFE.search(value):
            raise ValueError(f"{where} holds control or invisible characters")
    elif not math.isfinite(value) or value < 0:
        raise ValueError(f"{where} must be a number that is not negative, not {value!r}")
