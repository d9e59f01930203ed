"""``zipllm model``: the model files that can be found here; listed, shown, verified, installed, removed."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zipllm.cli.command import add_command, new_group
from zipllm.cli.messages import format_size
from zipllm.cli.options import FLAGS, JsonOptions, QuietOptions, argument
from zipllm.cli.progress import fraction_progress
from zipllm.cli.results import print_json, write_stdout
from zipllm.cli.tables import aligned
from zipllm.files.names import escape_name

if TYPE_CHECKING:
    from zipllm.model_file.store import ModelStore, StoredModel, UnusableModel

_COLUMNS = ("Name", "Id", "Size", "Parameters", "Origin", "Licence")
_LEFT = ("Name", "Id", "Origin", "Licence")

model_app = new_group("Model files: list, show, verify, import and remove them.")


class ListModelsOptions(JsonOptions, command="model"):
    """Options of ``model list``."""


class ShowOptions(JsonOptions, command="model"):
    """Options of ``model show``."""

    model: str = argument(metavar="NAME|ID|PATH", help="The model.")


class VerifyModelsOptions(QuietOptions, command="model"):
    """Options of ``model verify``."""

    models: list[str] | None = argument(
        metavar="NAME|ID|PATH", help="Models; by default all that are found here.", default=None
    )


class ImportOptions(QuietOptions, command="model"):
    """Options of ``model import``."""

    source: str = argument(metavar="SOURCE", help="A model file, GGUF file, folder with a model, or hub:OWNER/NAME.")
    name: str | None = FLAGS("-o", "--name", metavar="NAME", help="Name to import it under; by default its own.")
    force: bool = FLAGS.switch("-f", "--force", help="Replace an imported model of that name.")
    window: int = FLAGS("--window", metavar="N", help="Tokens that a layer of an open model sees.", min=1, default=1024)
    keep: int = FLAGS(
        "--keep", metavar="N", help="First tokens that an open model sees beside them.", min=0, max=64, default=4
    )


class RemoveOptions(QuietOptions, command="model"):
    """Options of ``model remove``."""

    name: str = argument(metavar="NAME", help="Name of an imported model.")


def list_models(options: ListModelsOptions) -> int:
    """Show the models that are found here, from their headers alone, and the files that are not usable models.

    Searched are the models shipped with zipllm, the folders in $ZIPLLM_MODEL_PATH, and the imported models.
    """
    from zipllm.model_file.store import ModelStore, UnusableModel

    found = list(ModelStore.default().scan())
    if options.json:
        for each in found:
            print_json(unusable_json(each) if isinstance(each, UnusableModel) else model_json(each, found))
    else:
        write_stdout(model_table(found))
    return 0


def show(options: ShowOptions) -> int:
    """Show a model's card: origin, training data and results. Reads the header only."""
    from zipllm.model_file.store import ModelStore

    store = ModelStore.default()
    stored = store.find(options.model)
    if options.json:
        print_json(model_json(stored, list(store.scan()), card=True))
    else:
        write_stdout(model_page(stored))
    return 0


def verify(options: VerifyModelsOptions) -> int:
    """Load whole models (id, tensors, bounds) and run their self-tests on this machine."""
    from zipllm.model_file.store import ModelStore
    from zipllm.predictor.check import check_model_file

    store = ModelStore.default()
    queries: Sequence[str | Path] = options.models or [each.path for each in store.scan()]

    def check(query: str | Path) -> str:
        stored = store.find(query)
        engines = check_model_file(stored.path, store.limits)
        return f"{stored.name}: right (self-test on {' and '.join(engines)}; {stored.path})"

    return options.voice.check(queries, check)


def import_model(options: ImportOptions) -> int:
    """Put a model where compress and decompress find it by name and id.

    A model file of zipllm is verified and copied. An open model of the Llama family (Llama, SmolLM2, Qwen2, Qwen3,
    Mistral), as a GGUF file or a folder with config.json, tokenizer.json and safetensors, becomes an exact one: its
    archives decode on every machine.

    $ zipllm model import SmolLM2-135M-Instruct.Q4_1.gguf -o smollm2
    $ zipllm compress --model smollm2 notes.txt
    """
    from zipllm.model_file.store import ModelStore

    store, voice = ModelStore.default(), options.voice
    installed = _import_open(options, store) if _is_open(options.source) else _import_file(options, store)
    shown = f"{installed.name} (id {installed.model_id.hex()[:16]}, {installed.path})"
    voice.tell(escape_name(f"{options.source}: imported as {shown}"))
    first = meant_by(installed, list(store.scan()))
    if first != installed.path:
        voice.warn(f"the name {installed.name} means {first}, which is found first")
    return 0


def _is_open(source: str) -> bool:
    """Whether a source is a model of another program rather than a model file."""
    from zipllm.foreign.source import is_checkpoint

    return is_checkpoint(source)


def _import_file(options: ImportOptions, store: "ModelStore") -> "StoredModel":
    return store.install(Path(options.source), options.name, replace=options.force)


def _import_open(options: ImportOptions, store: "ModelStore") -> "StoredModel":
    """Read, convert and install an open model, and say what its step to integers costs."""
    from zipllm.foreign.convert import convert
    from zipllm.foreign.source import read_checkpoint

    if options.name is not None:
        store.free_path(options.name, replace=options.force)
    checkpoint = read_checkpoint(options.source, window=options.window, kept=options.keep)
    name = options.name or checkpoint.name
    store.free_path(name, replace=options.force)
    body, embedding = checkpoint.config.parameter_counts()
    options.voice.tell(f"{body + embedding:,} parameters: {checkpoint.config.shape}")
    with fraction_progress(options.voice, options.source, body + embedding) as advance:
        converted = convert(checkpoint, name, advance)
    results = converted.model.card.results
    rows = [(r.domain, f"{r.float_bpb:.3f}", f"{r.integer_bpb:.3f}", f"{r.gap:+.2%}") for r in results]
    for line in aligned(("Bits per byte", "Float", "Integer", "Gap"), rows, left=("Bits per byte",)):
        options.voice.tell(line)
    return store.add(converted.model, name, replace=options.force)


def remove(options: RemoveOptions) -> int:
    """Delete an imported model; other models cannot be removed."""
    from zipllm.model_file.store import ModelStore

    path = ModelStore.default().remove(options.name)
    options.voice.tell(f"{options.name}: removed ({path})")
    return 0


def meant_by(stored: "StoredModel", found: "Sequence[StoredModel | UnusableModel]") -> Path:
    """Return the file that a model's name means: the first of that name in ``found``, usable or not."""
    first = next((each.path for each in found if each.path.name == stored.path.name), stored.path)
    return stored.path if stored.origin == "file" else first


def model_table(found: "Sequence[StoredModel | UnusableModel]") -> str:
    """Return a line for every usable model, then one with the reason for every unusable file."""
    from zipllm.model_file.store import StoredModel, UnusableModel

    models = [each for each in found if isinstance(each, StoredModel)]
    lines = list(aligned(_COLUMNS, [_row(model, found) for model in models], left=_LEFT))
    lines += [f"unusable: {escape_name(each.reason)}" for each in found if isinstance(each, UnusableModel)]
    return "\n".join(lines) + "\n"


def model_page(stored: "StoredModel") -> str:
    """Return the card as text with Markdown's headings."""
    from zipllm.model_file.card import UNKNOWN, card_page

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
        ("licence", card.licence or UNKNOWN),
    )
    return card_page(card, [(label, escape_name(value)) for label, value in facts], _table, escape_name)


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
        "name": stored.name,
        "ok": True,
        "model_id": metadata.model_id.hex(),
        "origin": stored.origin,
        "path": os.fspath(stored.path),
        "bytes": stored.summary.file_bytes,
        "parameters": body + embedding,
        "parameters_in_layers": body,
        "default": stored.name == DEFAULT_MODEL and not shadowed,
        "shadowed": shadowed,
        "config": metadata.config.to_dict(),
        **({"card": metadata.card.to_dict()} if card else {"licence": metadata.card.licence}),
    }


def unusable_json(unusable: "UnusableModel") -> dict[str, object]:
    """Return an unusable file as an object."""
    return {"command": "model", "path": os.fspath(unusable.path), "ok": False, "error": unusable.reason}


def _row(stored: "StoredModel", found: "Sequence[StoredModel | UnusableModel]") -> tuple[str, ...]:
    from zipllm.model_file.card import UNKNOWN

    metadata = stored.summary.metadata
    return (
        escape_name(stored.name),
        metadata.model_id.hex()[:16],
        format_size(stored.summary.file_bytes),
        f"{sum(metadata.config.parameter_counts()):,}",
        stored.origin + (", shadowed" if meant_by(stored, found) != stored.path else ""),
        escape_name(metadata.card.licence or UNKNOWN),
    )


def _table(columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> str:
    left = [column for column in columns if column in ("", "held-out data", "source", "licence", "note")]
    lines = aligned(columns, rows, left=left)
    return "\n".join(line for line in lines if line)


add_command(model_app, "list", list_models)
add_command(model_app, "show", show)
add_command(model_app, "verify", verify)
add_command(model_app, "import", import_model)
add_command(model_app, "remove", remove)
