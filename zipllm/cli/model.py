"""``zipllm model``: the model files that can be found here; listed, shown, verified, installed, removed."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from zipllm.cli import options
from zipllm.cli.messages import say
from zipllm.cli.model_page import meant_by, model_json, model_page, model_table, unusable_json
from zipllm.cli.results import print_json, write_stdout
from zipllm.cli.voice import Voice, finish
from zipllm.errors import ZipllmError
from zipllm.files.names import escape_name

if TYPE_CHECKING:
    from zipllm.model_file.store import ModelStore

model_app = typer.Typer(
    help="Model files: list, show, verify, import and remove them.",
    add_completion=False,
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Shown = Annotated[str, typer.Argument(metavar="NAME|ID|PATH", help="The model.", show_default=False)]
Verified = Annotated[
    list[str] | None,
    typer.Argument(metavar="[NAME|ID|PATH]...", help="Models; none is all that are found here.", show_default=False),
]
Imported = Annotated[Path, typer.Argument(metavar="FILE", help="A model file.", show_default=False)]
Removed = Annotated[str, typer.Argument(metavar="NAME", help="Of a model that was imported.", show_default=False)]
Name = Annotated[
    str | None,
    typer.Option("--name", metavar="NAME", help="To import it under; by default the name on its card."),
]
Replace = Annotated[bool, typer.Option("-f", "--force", help="Replace an imported model of that name.")]


@model_app.command("list")
def list_models(json: options.Json = False) -> None:
    """Show the models that can be named, from their headers alone, and files that are none.

    Looked for among those shipped, in $ZIPLLM_MODEL_PATH, and among those imported.
    """

    def run() -> int:
        from zipllm.model_file.store import ModelStore, UnusableModel

        found = list(ModelStore.default().scan())
        if json:
            for each in found:
                print_json(unusable_json(each) if isinstance(each, UnusableModel) else model_json(each, found))
        else:
            write_stdout(model_table(found))
        return 0

    finish(Voice("model"), run)


@model_app.command("show")
def show(model: Shown, json: options.Json = False) -> None:
    """Show a model's card: where it comes from, what it learned from, what it is worth. Reads the header alone."""

    def run() -> int:
        from zipllm.model_file.store import ModelStore

        store = ModelStore.default()
        stored = store.find(model)
        if json:
            print_json(model_json(stored, list(store.scan()), card=True))
        else:
            write_stdout(model_page(stored))
        return 0

    finish(Voice("model"), run)


@model_app.command("verify")
def verify(models: Verified = None, quiet: options.Quiet = 0) -> None:
    """Load models as a whole (id, tensors, bounds) and run their self-tests on this machine."""
    voice = Voice("model", 1 - quiet)

    def run() -> int:
        from zipllm.model_file.store import ModelStore
        from zipllm.predictor.check import check_model_file

        worst, store = 0, ModelStore.default()
        for query in models or _found(store):
            try:
                stored = store.find(query)
                engines = check_model_file(stored.path, store.limits)
            except ZipllmError as error:
                worst = max(worst, voice.fail(None, error))
            else:
                if voice.level >= 1:
                    where = f"self-test on {' and '.join(engines)}; {stored.path}"
                    write_stdout(escape_name(f"{stored.name}: right ({where})") + "\n")
        return worst

    finish(voice, run)


@model_app.command("import")
def import_model(file: Imported, name: Name = None, force: Replace = False, quiet: options.Quiet = 0) -> None:
    """Verify a model file and copy it to where compress and decompress find it by name and id."""
    voice = Voice("model", 1 - quiet)

    def run() -> int:
        from zipllm.model_file.store import ModelStore

        store = ModelStore.default()
        installed = store.install(file, name, replace=force)
        if voice.level >= 1:
            say(f"{file}: imported as {installed.name} (id {installed.model_id.hex()[:16]}, {installed.path})")
        first = meant_by(installed, list(store.scan()))
        if first != installed.path and voice.level >= 0:
            say(f"zipllm: warning: the name {installed.name} means {first}, which is found first")
        return 0

    finish(voice, run)


@model_app.command("remove")
def remove(name: Removed, quiet: options.Quiet = 0) -> None:
    """Delete a model that was imported; no others are touched."""
    voice = Voice("model", 1 - quiet)

    def run() -> int:
        from zipllm.model_file.store import ModelStore

        path = ModelStore.default().remove(name)
        if voice.level >= 1:
            say(f"{name}: removed ({path})")
        return 0

    finish(voice, run)


def _found(store: "ModelStore") -> Sequence[Path]:
    return [each.path for each in store.scan()]
