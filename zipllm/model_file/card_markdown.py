"""A model's card as a Markdown page."""

from zipllm.model.config import NetworkConfig
from zipllm.model_file.card import Card, DomainResult

_HOW_TO_DECODE = """## How to decode

    zipllm decompress FILE.zllm --model {name}.safetensors

An archive names the `model_id` it needs. A model that is shipped, installed with `zipllm model import`, or
embedded in the archive is found by itself; any other model than the one named is refused.
"""


def render_card(card: Card, config: NetworkConfig, model_id: bytes, file_bytes: int) -> str:
    """Return the page. Texts of the card are escaped, since a card may come from anywhere.

    Args:
        card: what the makers recorded.
        config: shape of the network.
        model_id: 32 bytes.
        file_bytes: size of the model file.
    """
    sections = (
        f"# {_escape(card.name)}\n\n{_escape(card.summary)}\n",
        _facts(card, config, model_id, file_bytes),
        _results(card.results),
        _sources(card),
        _training(card),
        _HOW_TO_DECODE.format(name=card.name),
        "## Limits\n\n" + "\n".join(f"* {_escape(limit)}" for limit in card.limits) + "\n" if card.limits else "",
    )
    return "\n".join(section for section in sections if section)


def _facts(card: Card, config: NetworkConfig, model_id: bytes, file_bytes: int) -> str:
    body, embedding = config.parameter_counts()
    rows = (
        ("model_id", f"`{model_id.hex()}`"),
        ("parameters", f"{body:,} in the layers, {embedding:,} in the embeddings"),
        ("shape", f"{config.shape}, window {config.window} tokens" if config.window else config.shape),
        ("vocabulary", f"{config.vocabulary_size:,} tokens"),
        ("file size", f"{file_bytes:,} bytes"),
        ("licence of the weights", _escape(card.licence or "not recorded")),
    )
    return _table(("", ""), rows)


def _results(results: tuple[DomainResult, ...]) -> str:
    if not results:
        return "## Bits per byte\n\nNot measured.\n"
    rows = tuple(
        (_escape(r.domain), f"{r.bytes:,}", f"{r.float_bpb:.4f}", f"{r.integer_bpb:.4f}", f"{r.gap:+.2%}")
        for r in results
    )
    columns = ("held-out data", "bytes", "float model", "integer model", "gap")
    return "## Bits per byte\n\nThe integer model is the one that codes files.\n\n" + _table(columns, rows)


def _sources(card: Card) -> str:
    if not card.sources:
        return "## Training data\n\nNot recorded.\n"
    rows = tuple((_escape(s.name), f"{s.bytes:,}", _escape(s.licence), _escape(s.note)) for s in card.sources)
    return "## Training data\n\n" + _table(("source", "bytes", "licence", "note"), rows)


def _training(card: Card) -> str:
    rows = (
        ("steps", f"{card.steps:,}"),
        ("tokens", f"{card.tokens:,}"),
        ("time", f"{card.seconds / 3600:.2f} hours"),
        ("machine", _escape(card.machine or "not recorded")),
        ("recipe", _escape(card.recipe or "not recorded")),
    )
    return "## Training\n\n" + _table(("", ""), rows)


def _table(columns: tuple[str, ...], rows: tuple[tuple[str, ...], ...]) -> str:
    lines = (columns, ("---",) * len(columns), *rows)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines) + "\n"


def _escape(text: str) -> str:
    """Neutralise HTML and the Markdown that could change the page's structure or add links."""
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for character in "\\`*[]|#!":
        text = text.replace(character, "\\" + character)
    return text
