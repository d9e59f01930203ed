"""What ``zipllm model list`` and ``show`` tell of model files, all of it from their headers."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zipllm.cli.listing import aligned
from zipllm.cli.messages import format_size
from zipllm.cli.results import name_json
from zipllm.files.names import escape_name

if TYPE_CHECKING:
    from zipllm.model_file.card import Card
    from zipllm.model_file.store import StoredModel, UnusableModel

_COLUMNS = ("Name", "Id", "Size", "Parameters", "Origin", "Licence")
_LEFT = ("Name", "Id", "Origin", "Licence")
_UNKNOWN = "not recorded"


def meant_by(stored: "StoredModel", found: "Sequence[StoredModel | UnusableModel]") -> Path:
    """Return the file that a model's name means: the first of that name in ``found``; it need not be a usable one."""
    first = next((each.path for each in found if each.path.name == stored.path.name), stored.path)
    return stored.path if stored.origin == "file" else first


def model_table(found: "Sequence[StoredModel | UnusableModel]") -> str:
    """Return a line for every usable model, then one with the reason for every file that is none."""
    from zipllm.model_file.store import StoredModel, UnusableModel

    models = [each for each in found if isinstance(each, StoredModel)]
    lines = list(aligned(_COLUMNS, [_row(model, found) for model in models], left=_LEFT))
    lines += [f"unusable: {escape_name(each.reason)}" for each in found if isinstance(each, UnusableModel)]
    return "\n".join(lines) + "\n"


def model_page(stored: "StoredModel") -> str:
    """Return the card as text with Markdown's headings."""
    metadata = stored.summary.metadata
    card, config = metadata.card, metadata.config
    body, embedding = config.parameter_counts()
    facts = (
        ("model id", metadata.model_id.hex()),
        ("file", f"{os.fspath(stored.path)} ({stored.summary.file_bytes:,} bytes, {stored.origin})"),
        ("parameters", f"{body:,} in the layers, {embedding:,} in the embeddings"),
        ("shape", config.shape),
        ("context", config.context),
        ("vocabulary", f"{config.vocabulary_size:,} tokens{', tied' if config.tied else ''}"),
        ("licence", card.licence or _UNKNOWN),
    )
    sections = [f"# {card.name}", escape_name(card.summary), _facts(facts), "## Bits per byte", _results(card)]
    sections += ["## Training data", _sources(card), "## Training", _training(card)]
    if card.limits:
        sections += ["## Limits", "\n".join(f"* {escape_name(limit)}" for limit in card.limits)]
    return "\n\n".join(filter(None, sections)) + "\n"


def model_json(
    stored: "StoredModel", found: "Sequence[StoredModel | UnusableModel]", *, card: bool = False
) -> dict[str, object]:
    """Return one of the models that the store has ``found`` as an object: with its card, or ``licence`` alone."""
    from zipllm.model_file.store import DEFAULT_MODEL

    metadata = stored.summary.metadata
    body, embedding = metadata.config.parameter_counts()
    shadowed = meant_by(stored, found) != stored.path
    return {
        "command": "model",
        **name_json("name", stored.name),
        "ok": True,
        "model_id": metadata.model_id.hex(),
        "origin": stored.origin,
        **name_json("path", os.fspath(stored.path)),
        "bytes": stored.summary.file_bytes,
        "parameters": body + embedding,
        "parameters_in_layers": body,
        "default": stored.name == DEFAULT_MODEL and not shadowed,
        "shadowed": shadowed,
        "config": metadata.config.to_dict(),
        **({"card": metadata.card.to_dict()} if card else {"licence": metadata.card.licence}),
    }


def unusable_json(unusable: "UnusableModel") -> dict[str, object]:
    """Return a file that is no usable model as an object."""
    path, error = name_json("path", os.fspath(unusable.path)), name_json("error", unusable.reason)
    return {"command": "model", **path, "ok": False, **error}


def _row(stored: "StoredModel", found: "Sequence[StoredModel | UnusableModel]") -> tuple[str, ...]:
    metadata = stored.summary.metadata
    return (
        escape_name(stored.name),
        metadata.model_id.hex()[:16],
        format_size(stored.summary.file_bytes),
        f"{sum(metadata.config.parameter_counts()):,}",
        stored.origin + (", shadowed" if meant_by(stored, found) != stored.path else ""),
        escape_name(metadata.card.licence or _UNKNOWN),
    )


def _facts(rows: Sequence[tuple[str, str]]) -> str:
    width = max(len(label) for label, _ in rows)
    return "\n".join(f"{label:<{width}}  {escape_name(value)}" for label, value in rows)


def _results(card: "Card") -> str:
    if not card.results:
        return "Not measured."
    columns = ("held-out data", "bytes", "float model", "integer model", "gap")
    rows = [
        (escape_name(r.domain), f"{r.bytes:,}", f"{r.float_bpb:.4f}", f"{r.integer_bpb:.4f}", f"{r.gap:+.2%}")
        for r in card.results
    ]
    return "The integer model is the one that codes files.\n\n" + "\n".join(aligned(columns, rows, left=columns[:1]))


def _sources(card: "Card") -> str:
    if not card.sources:
        return "Not recorded."
    columns = ("source", "bytes", "licence", "note")
    rows = [(escape_name(s.name), f"{s.bytes:,}", escape_name(s.licence), escape_name(s.note)) for s in card.sources]
    return "\n".join(aligned(columns, rows, left=("source", "licence", "note")))


def _training(card: "Card") -> str:
    facts = {
        "steps": f"{card.steps:,}" if card.steps else "",
        "tokens": f"{card.tokens:,}" if card.tokens else "",
        "time": f"{card.seconds / 3600:.2f} hours" if card.seconds else "",
        "machine": card.machine,
        "recipe": card.recipe,
    }
    return _facts([(label, value or _UNKNOWN) for label, value in facts.items()])
