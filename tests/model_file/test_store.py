"""Finding models by name, id and path."""

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.model_file.conftest import CARD
from zipllm.errors import FileError, ModelInvalid, ModelNotFound, UsageError
from zipllm.model_file.file import Model, save_model
from zipllm.model_file.limits import ModelLimits
from zipllm.model_file.store import DEFAULT_MODEL, ENVIRONMENT_VARIABLE, ModelStore, StoredModel, UnusableModel


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    for name in ("shipped", "one", "two"):
        (tmp_path / name).mkdir()
    return ModelStore(tmp_path / "shipped", (tmp_path / "one", tmp_path / "two"), tmp_path / "home" / "models")


def test_default_name_is_looked_up_when_nothing_is_said(store: ModelStore, model: Model) -> None:
    save_model(model, store.shipped / f"{DEFAULT_MODEL}.safetensors")
    assert store.find().name == DEFAULT_MODEL == "small"
    assert store.load().model_id == model.model_id


def test_shipped_then_search_path_then_user(store: ModelStore, model: Model, other_model: Model) -> None:
    third = replace(model, card=replace(CARD, summary="third"))
    store.user.mkdir(parents=True)
    save_model(other_model, store.user / "m.safetensors")
    assert store.find("m").origin == "user"
    save_model(model, store.search[1] / "m.safetensors")
    assert store.find("m").path == store.search[1] / "m.safetensors"
    save_model(third, store.search[0] / "m.safetensors")
    assert store.find("m").summary.metadata.card.summary == "third"
    save_model(model, store.shipped / "m.safetensors")
    assert store.find("m").origin == "shipped"
    assert [found.origin for found in store.models()] == ["shipped", "path", "path", "user"]


def test_by_id_prefix(store: ModelStore, model: Model, other_model: Model) -> None:
    save_model(model, store.search[0] / "a.safetensors")
    save_model(other_model, store.search[0] / "b.safetensors")
    digits = model.model_id.hex()
    for query in (digits, digits[:8], digits[:20].upper()):
        assert store.find(query).name == "a"
    with pytest.raises(ModelNotFound, match="no model called"):
        store.find(digits[:7])


def test_prefix_of_copies_of_one_model_is_not_ambiguous(store: ModelStore, model: Model) -> None:
    save_model(model, store.search[0] / "a.safetensors")
    save_model(model, store.search[1] / "b.safetensors")
    assert store.find(model.model_id.hex()[:10]).name == "a"


def test_prefix_of_several_models_is_ambiguous(
    store: ModelStore, model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_model(model, store.search[0] / "a.safetensors")
    found = store.models()[0]
    twin = replace(found.summary.metadata, model_id=model.model_id[:16] + bytes(16))
    both = [found, replace(found, name="b", summary=replace(found.summary, metadata=twin))]
    monkeypatch.setattr(ModelStore, "models", lambda self: both)
    with pytest.raises(ModelNotFound, match=r"begins the ids of several models: a \(.*\), b \("):
        store.find(model.model_id.hex()[:12])


def test_a_name_wins_over_an_id(store: ModelStore, model: Model, other_model: Model) -> None:
    digits = model.model_id.hex()[:8]
    save_model(model, store.search[0] / "a.safetensors")
    save_model(other_model, store.search[0] / f"{digits}.safetensors")
    assert store.find(digits).model_id == other_model.model_id


def test_by_path(store: ModelStore, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    save_model(model, tmp_path / "x.safetensors")
    save_model(model, tmp_path / "no-suffix")
    monkeypatch.chdir(tmp_path)
    for query in (tmp_path / "x.safetensors", str(tmp_path / "x.safetensors"), "./x.safetensors", "x.safetensors"):
        found = store.find(query)
        assert (found.name, found.origin) == ("x", "file")
    assert store.find("./no-suffix").name == "no-suffix"
    assert store.find(Path("no-suffix")).name == "no-suffix"
    assert store.load("x.safetensors").model_id == model.model_id


@pytest.mark.parametrize("query", ["absent.safetensors", "/absent/x", "./small", "~/x", Path("small"), "../small"])
def test_missing_path_says_so(store: ModelStore, model: Model, query: str | Path) -> None:
    save_model(model, store.shipped / "small.safetensors")
    with pytest.raises(ModelNotFound, match="there is no model file"):
        store.find(query)


def test_not_found_lists_places_and_the_nearest_name(store: ModelStore, model: Model) -> None:
    save_model(model, store.shipped / "small.safetensors")
    with pytest.raises(ModelNotFound) as caught:
        store.find("smal")
    message = str(caught.value)
    assert "no model called 'smal'; did you mean 'small'? (looked at " in message
    for folder in (store.shipped, *store.search, store.user):
        assert repr(str(folder)) in message
    assert "('small')" in message
    assert "(none)" in message


@pytest.mark.parametrize("query", ["", ".", "..", "*", "small\0", "a" * 5000, "\x1b[31m", "\udcff", "smäll"])
def test_strange_names_are_not_found(store: ModelStore, query: str) -> None:
    with pytest.raises(ModelNotFound) as caught:
        store.find(query)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 2000


def test_hidden_and_temporary_files_are_not_models(store: ModelStore, model: Model) -> None:
    save_model(model, store.shipped / ".small.safetensors")
    save_model(model, store.shipped / "small.safetensors.tmp")
    assert list(store.scan()) == []
    with pytest.raises(ModelNotFound):
        store.find("small")


def test_looking_reads_headers_only(store: ModelStore, model: Model, good: bytes) -> None:
    """A file whose weights are damaged is still listed; loading it is what notices."""
    path = store.shipped / "small.safetensors"
    path.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    assert store.find("small").model_id == model.model_id
    with pytest.raises(ModelInvalid, match="damaged"):
        store.load("small")


@pytest.mark.timeout(20)
def test_scan_explains_unusable_files_and_goes_on(store: ModelStore, model: Model, good: bytes) -> None:
    folder = store.search[0]
    (folder / "a.safetensors").write_bytes(b"junk" * 10)
    (folder / "b.safetensors").mkdir()
    os.mkfifo(folder / "c.safetensors")
    (folder / "d.safetensors").symlink_to("d.safetensors")
    (folder / "e.safetensors").symlink_to("nowhere")
    (folder / "f.safetensors").write_bytes(good[:500])
    save_model(model, folder / "g.safetensors")
    found = list(store.scan())
    assert [type(each) for each in found] == [UnusableModel] * 6 + [StoredModel]
    reasons = [each.reason for each in found if isinstance(each, UnusableModel)]
    for reason, words in zip(
        reasons, ["a text file", "regular file", "regular file", "loop of", "no model file", "truncated"], strict=True
    ):
        assert words in reason
    with pytest.raises(ModelInvalid, match="regular file"):
        store.find("c")


def test_by_full_id(store: ModelStore, model: Model, other_model: Model) -> None:
    save_model(other_model, store.shipped / "small.safetensors")
    save_model(model, store.search[1] / "a.safetensors")
    assert store.load_by_id(model.model_id).model_id == model.model_id


def test_damaged_copy_is_passed_over_by_id(store: ModelStore, model: Model, good: bytes) -> None:
    (store.shipped / "small.safetensors").write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(ModelInvalid, match="damaged"):
        store.load_by_id(model.model_id)
    save_model(model, store.search[0] / "whole.safetensors")
    assert store.load_by_id(model.model_id).model_id == model.model_id


def test_file_that_claims_an_id_it_does_not_have_is_not_used(
    store: ModelStore, model: Model, other_model: Model, forge: Callable[..., bytes]
) -> None:
    liar = forge(lambda header, metadata: metadata.update(model_id=other_model.model_id.hex()))
    (store.shipped / "liar.safetensors").write_bytes(liar)
    with pytest.raises(ModelInvalid, match="damaged"):
        store.load_by_id(other_model.model_id)


def test_unknown_id_says_what_to_do(store: ModelStore) -> None:
    with pytest.raises(ModelNotFound, match=r"id 0{64}, which is not installed.*--model.*zipllm model import"):
        store.load_by_id(bytes(32))


def test_install_list_remove(store: ModelStore, model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "download")
    installed = store.install(tmp_path / "download")
    assert (installed.name, installed.origin) == ("tiny", "user")
    assert installed.path == store.user / "tiny.safetensors"
    assert store.load("tiny").model_id == model.model_id
    assert [found.name for found in store.models()] == ["tiny"]
    assert store.remove("tiny") == installed.path
    assert store.models() == []
    with pytest.raises(ModelNotFound, match="no model called 'tiny' in the user's store [^;]*$"):
        store.remove("tiny")


def test_what_cannot_be_removed_is_told_apart(store: ModelStore, model: Model, tmp_path: Path) -> None:
    save_model(model, store.shipped / "small.safetensors")
    save_model(model, store.search[0] / "mine.safetensors")
    save_model(model, tmp_path / "download")
    store.install(tmp_path / "download")
    for name, message in (("small", "is shipped"), ("mine", "lies in "), ("tin", "did you mean 'tiny'"), ("x", "tiny")):
        with pytest.raises(ModelNotFound, match=f"no model called '{name}' in the user's store.*{message}"):
            store.remove(name)


def test_a_file_is_named_by_its_path(store: ModelStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "zen.txt").write_text("Beautiful is better than ugly.")
    with pytest.raises(ModelNotFound, match=r"no model called 'zen.txt'; the file of that name is './zen.txt'"):
        store.find("zen.txt")
    with pytest.raises(ModelInvalid, match="this is a text file"):
        store.find("./zen.txt")


def test_install_under_another_name(store: ModelStore, model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "download")
    assert store.install(tmp_path / "download", "mine").name == "mine"


def test_install_replaces_only_when_asked(store: ModelStore, model: Model, other_model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "a")
    save_model(other_model, tmp_path / "b")
    store.install(tmp_path / "a")
    with pytest.raises(FileError, match="already installed"):
        store.install(tmp_path / "b")
    assert store.load("tiny").model_id == model.model_id
    store.install(tmp_path / "b", replace=True)
    assert store.load("tiny").model_id == other_model.model_id


def test_install_refuses_the_name_of_a_shipped_model(store: ModelStore, model: Model, tmp_path: Path) -> None:
    save_model(model, store.shipped / "small.safetensors")
    save_model(model, tmp_path / "a")
    with pytest.raises(UsageError, match="name of a shipped model"):
        store.install(tmp_path / "a", "small", replace=True)


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/b", "", ".x", "UP", "a\0"])
def test_names_cannot_leave_the_store(store: ModelStore, model: Model, tmp_path: Path, name: str) -> None:
    save_model(model, tmp_path / "a")
    with pytest.raises(UsageError, match="model name"):
        store.install(tmp_path / "a", name)
    with pytest.raises(UsageError, match="model name"):
        store.remove(name)


def test_damaged_model_is_not_installed(store: ModelStore, good: bytes, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(ModelInvalid, match="damaged"):
        store.install(tmp_path / "a")
    assert not store.user.exists()


def test_store_that_cannot_be_made(store: ModelStore, model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "a")
    store.user.parent.write_bytes(b"a file in the way")
    with pytest.raises(FileError, match="cannot make the folder"):
        store.install(tmp_path / "a")


def test_remove_of_a_link_leaves_its_target(store: ModelStore, model: Model, tmp_path: Path) -> None:
    save_model(model, tmp_path / "real")
    store.user.mkdir(parents=True)
    (store.user / "link.safetensors").symlink_to(tmp_path / "real")
    store.remove("link")
    assert (tmp_path / "real").exists()


def test_limits_hold_for_lookups_too(store: ModelStore, model: Model) -> None:
    save_model(model, store.shipped / "small.safetensors")
    tight = replace(store, limits=ModelLimits(file_bytes=100))
    assert tight.models() == []
    (unusable,) = tight.scan()
    assert isinstance(unusable, UnusableModel)
    assert "more than the 100" in unusable.reason


def test_default_store_reads_the_environment(tmp_path: Path) -> None:
    paths = os.pathsep.join([str(tmp_path / "a"), "", str(tmp_path / "b")])
    store = ModelStore.default({ENVIRONMENT_VARIABLE: paths})
    assert store.search == (tmp_path / "a", tmp_path / "b"), "an empty entry is not the current folder"
    assert store.shipped.name == "weights"
    assert (store.shipped / "__init__.py").exists()
    assert store.user.name == "models"
    assert ModelStore.default({}).search == ()


def test_user_store_follows_the_platforms_setting(tmp_path: Path) -> None:
    code = "from zipllm.model_file.store import ModelStore; print(ModelStore.default().user)"
    environment = {**os.environ, "XDG_DATA_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True, text=True)
    if sys.platform == "linux":
        assert run.stdout.strip() == str(tmp_path / "zipllm" / "models")


def test_listing_imports_neither_torch_nor_numpy(good: bytes, tmp_path: Path) -> None:
    (tmp_path / "m.safetensors").write_bytes(good)
    code = (
        "import sys; from zipllm.model_file.store import ModelStore;"
        "print([m.name for m in ModelStore.default().models() if m.origin == 'path']);"
        "print({'torch', 'numpy'} & set(sys.modules))"
    )
    environment = {
        **os.environ,
        ENVIRONMENT_VARIABLE: str(tmp_path),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=True, text=True)
    assert run.stdout.split("\n")[:2] == ["['m']", "set()"]
