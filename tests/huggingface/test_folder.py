"""What a folder may hold: each thing that is wrong has an error of its own, and nothing of it is run."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.huggingface.fixtures import folders
from zipllm.engine.engine import huggingface_engine, load_engine
from zipllm.errors import MissingPackage, ModelInvalid, ModelNotFound, ZipllmError
from zipllm.huggingface import folder as huggingface
from zipllm.huggingface.folder import find_folder, is_huggingface, load_folder

Change = Callable[[Path], object]


@pytest.fixture
def folder(gpt2: Path, tmp_path: Path) -> Path:
    """A copy to spoil."""
    copy = tmp_path / "copy"
    copy.mkdir()
    for file in gpt2.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


def without(*names: str) -> Change:
    return lambda folder: folders().remove(folder, names)


def config(**members: object) -> Change:
    return lambda folder: folders().change_config(folder, **members)


def text(name: str, content: str) -> Change:
    return lambda folder: (folder / name).write_text(content)


def pickled(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def cut(folder: Path) -> None:
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def no_bytes(folder: Path) -> None:
    description = json.loads((folder / "tokenizer.json").read_text())
    description["decoder"] = description["pre_tokenizer"] = None
    (folder / "tokenizer.json").write_text(json.dumps(description))


def own_code(folder: Path) -> None:
    folders().change_config(
        folder, model_type="evil", architectures=["GPT2LMHeadModel"],
        auto_map={"AutoConfig": "evil.Config", "AutoModelForCausalLM": "evil.Model"},
    )  # fmt: skip
    (folder / "evil.py").write_text("open('ran', 'w').close()\nclass Config: pass\nclass Model: pass\n")


WRONG: dict[str, tuple[Change, str]] = {
    "no config": (without("config.json"), "has no config.json"),
    "no JSON": (text("config.json", "{"), "does not name an architecture"),
    "nested": (text("config.json", "[" * 100_000), "does not name an architecture"),
    "a list": (text("config.json", "[]"), "does not name an architecture"),
    "no architecture": (config(architectures=None), "does not name an architecture"),
    "encoder and decoder": (config(architectures=["T5ForConditionalGeneration"]), "not a model of the next token"),
    "classifier": (config(architectures=["GPT2ForSequenceClassification"]), "not a model of the next token"),
    "no weights": (without("model.safetensors"), "has no *.safetensors"),
    "pickle": (pickled, "can run code"),
    "weights cut off": (cut, "cannot be loaded"),
    "other sizes": (config(n_embd=64), "cannot be loaded"),
    "layers missing": (config(n_layer=3), "lacks 12 of its weights"),
    "a million layers": (config(n_layer=1_000_000), "declares 1000000 layers"),
    "terabytes": (config(n_embd=1 << 20), "parameters, its weights have"),
    "own code": (own_code, "cannot be loaded"),
    "unknown kind": (config(model_type="no such"), "cannot be loaded"),
    "no tokenizer": (without("tokenizer.json", "tokenizer_config.json"), "has no tokenizer"),
    "no bytes": (no_bytes, "cannot give bytes back: its tokens (BPE) are pieces of text"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_said(folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    spoil, says = WRONG[name]
    spoil(folder)
    with pytest.raises(ModelInvalid) as caught:
        huggingface_engine(f"hf:{folder}")
    message = str(caught.value)
    assert says in message
    assert "\n" not in message
    assert len(message) < 500
    assert not (folder.parent / "ran").exists()


def test_names() -> None:
    assert is_huggingface("hf:a")
    assert is_huggingface("hub:a/b")
    assert not any(map(is_huggingface, ("small", "a/hf:b", None, Path("hf:a"))))


@pytest.mark.parametrize("name", ["nothing", "./a/b", "/a/b", "a/b/c", "", "a/"])
def test_no_folder(name: str, gpt2: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ModelNotFound, match="is not a folder with a Hugging Face model"):
        find_folder(f"hf:{name}")


def test_a_file_is_no_folder(gpt2: Path) -> None:
    with pytest.raises(ModelNotFound, match="is not a folder"):
        find_folder(f"hf:{gpt2 / 'config.json'}")


@pytest.mark.parametrize(("query", "asks"), [("hf:owner/name", False), ("hub:owner/name", True)])
def test_only_hub_asks_the_network(query: str, asks: bool, gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub

    asked = []

    def download(name: str, *, allow_patterns: list[str], local_files_only: bool) -> str:
        asked.append((name, local_files_only))
        assert not [pattern for pattern in allow_patterns if pattern.endswith((".bin", ".py", ".pt", "*"))]
        return str(gpt2)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert find_folder(query).path == gpt2
    assert asked == [("owner/name", not asks)]


def test_what_was_not_fetched_names_how_to(tmp_path: Path, gpt2: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelNotFound, match=r"was fetched before \(hub:no/such fetches it\)"):
        find_folder("hf:no/such")


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MissingPackage, match=r"pip install 'zipllm\[hf\]'"):
        load_engine(f"hf:{tmp_path}")


def test_a_masked_model_is_no_coder(bert: Path) -> None:
    assert find_folder(f"hf:{bert}").kind == "masked"
    with pytest.raises(ModelInvalid, match="BertForMaskedLM predicts a token from both sides"):
        load_engine(f"hf:{bert}")


def test_what_the_digest_depends_on(folder: Path) -> None:
    """On config, tokenizer and weights, and not on the folder's name or what else lies in it."""
    first = load_folder(find_folder(f"hf:{folder}"), "cpu").digest
    (folder / "README.txt").write_text("no part of the model")
    moved = folder.rename(folder.with_name("other"))
    assert load_folder(find_folder(f"hf:{moved}/"), "cpu").digest == first
    folders().change_config(moved, layer_norm_epsilon=1e-6)
    assert load_folder(find_folder(f"hf:{moved}"), "cpu").digest != first


def test_loading_says_nothing(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    huggingface_engine(f"hf:{folder}")
    folders().change_config(folder, n_layer=3)
    with pytest.raises(ZipllmError):
        huggingface_engine(f"hf:{folder}")
    assert capfd.readouterr() == ("", "")


def test_the_library_is_named_in_one_place() -> None:
    root = Path(huggingface.__file__).parents[1]
    users = [path for path in root.rglob("*.py") if re.search(r'import_\w+\("transformers"', path.read_text())]
    assert {path.relative_to(root).as_posix() for path in users} == {"huggingface/folder.py", "huggingface/numerics.py"}


@pytest.mark.parametrize(
    ("config", "context"),
    [
        ({"max_position_embeddings": 64}, 64),
        ({"n_positions": 512}, 512),
        ({"max_seq_len": 1024, "n_ctx": None}, 1024),
        ({"seq_length": 100}, 100),
        ({"max_position_embeddings": -1, "max_sequence_length": 77}, 77),
        ({"max_position_embeddings": 1 << 20}, huggingface.MOST_CONTEXT),
        ({"max_position_embeddings": "many"}, huggingface.MOST_CONTEXT),
        ({}, huggingface.MOST_CONTEXT),
    ],
    ids=str,
)
def test_configs_name_the_context_in_different_ways(config: dict[str, object], context: int) -> None:
    assert huggingface._context(SimpleNamespace(**config)) == context


@pytest.mark.parametrize("error", [IndexError("index out of range in self"), RuntimeError("shapes"), KeyError("x")])
def test_an_error_of_a_foreign_module_is_one_of_its_model(error: Exception) -> None:
    def fail(**inputs: object) -> None:
        raise error

    folder = huggingface.Folder(Path("m"), "StrangeForCausalLM", "causal")
    loaded: Any = SimpleNamespace(network=fail, folder=folder)
    with pytest.raises(ModelInvalid, match="StrangeForCausalLM of 'm' fails while it computes: "):
        huggingface.ask(loaded, input_ids=0)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate")])
def test_a_foreign_module_without_memory_is_no_broken_model(error: Exception) -> None:
    def fail(**inputs: object) -> None:
        raise error

    with pytest.raises(MemoryError):
        huggingface.ask(SimpleNamespace(network=fail))  # type: ignore[arg-type]
