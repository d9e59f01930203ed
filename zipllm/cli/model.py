"""``zipllm model``: the model files that can be found here; listed, shown, verified, installed, removed."""

from collections.abc import Sequence
from pathlib import Path

from zipllm.cli.command import add_command, new_group
from zipllm.cli.model_page import meant_by, model_json, model_page, model_table, unusable_json
from zipllm.cli.options import FLAGS, JsonOptions, QuietOptions, argument
from zipllm.cli.results import print_json, write_stdout

model_app = new_group("Model files: list, show, verify, import and remove them.")


class ListModelsOptions(JsonOptions, command="model"):
    """Options of ``model list``."""


class ShowOptions(JsonOptions, command="model"):
    """Options of ``model show``."""

    model: str = argument(metavar="NAME|ID|PATH", help="The model.")


class VerifyModelsOptions(QuietOptions, command="model"):
    """Options of ``model verify``."""

    models: list[str] | None = argument(
        metavar="[NAME|ID|PATH]...", help="Models; by default all that are found here.", default=None
    )


class ImportOptions(QuietOptions, command="model"):
    """Options of ``model import``."""

    file: Path = argument(metavar="FILE", help="A model file.")
    name: str | None = FLAGS("--name", metavar="NAME", help="Name to import it under; by default the card's.")
    force: bool = FLAGS.switch("-f", "--force", help="Replace an imported model of that name.")


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
    """Verify a model file and copy it to where compress and decompress find it by name and id."""
    from zipllm.model_file.store import ModelStore

    store, voice = ModelStore.default(), options.voice
    installed = store.install(options.file, options.name, replace=options.force)
    voice.tell(f"{options.file}: imported as {installed.name} (id {installed.model_id.hex()[:16]}, {installed.path})")
    first = meant_by(installed, list(store.scan()))
    if first != installed.path:
        voice.warn(f"the name {installed.name} means {first}, which is found first")
    return 0


def remove(options: RemoveOptions) -> int:
    """Delete an imported model; other models cannot be removed."""
    from zipllm.model_file.store import ModelStore

    path = ModelStore.default().remove(options.name)
    options.voice.tell(f"{options.name}: removed ({path})")
    return 0


add_command(model_app, "list", list_models)
add_command(model_app, "show", show)
add_command(model_app, "verify", verify)
add_command(model_app, "import", import_model)
add_command(model_app, "remove", remove)
