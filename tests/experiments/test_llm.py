"""The study of open models, with a tiny shipped model and a tiny Llama in the user's store."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.model.llama_models import exported_llama
from tests.model_file.conftest import CARD, CONFIG, random_integer_model
from zipllm.bench.protocol import Codec
from zipllm.data.local import Places
from zipllm.data.registry import samples_folder
from zipllm.engine.engine import LazyEngine
from zipllm.errors import CorruptData, ModelNotFound
from zipllm.experiments import scoring
from zipllm.experiments.contenders import contenders
from zipllm.experiments.course import Settings, run_study
from zipllm.experiments.material import held_out, own_text
from zipllm.experiments.page import Report
from zipllm.experiments.studies.llm import KINDS, NO_MODEL, STUDY, UNSEEN, Llm, LlmSizes
from zipllm.experiments.study import ByScale
from zipllm.model_file.card import UNKNOWN_DATA, Card, DataSource
from zipllm.model_file.file import Model, build_model, save_model
from zipllm.model_file.store import ModelStore
from zipllm.tokenizer import ByteTokenizer

IMPORTED = Card("open", sources=(DataSource(UNKNOWN_DATA, "not recorded"),))


def llama(seed: int) -> Model:
    parameters = exported_llama(seed, vocabulary_size=256, width=16, heads=2, key_heads=1, head_size=8, feedforward=24)
    return build_model(parameters.config, ByteTokenizer(), parameters, IMPORTED)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ModelStore:
    """Return a store with a shipped model and none of the user's, which the study takes as the default one."""
    (tmp_path / "shipped").mkdir()
    store = ModelStore(tmp_path / "shipped", (), tmp_path / "user")
    save_model(build_model(CONFIG, ByteTokenizer(), random_integer_model(), CARD), store.shipped / "tiny.safetensors")
    monkeypatch.setattr(ModelStore, "default", lambda: store)
    return store


def run(folder: Path, *models: str, resume: bool = False) -> Report:
    study = Llm()
    study.sizes = ByScale(LlmSizes(200, ("tiny",)), LlmSizes(200, ("tiny",)))
    settings = Settings(folder, places=Places(()), resume=resume, models=models)
    return run_study(study, settings, lambda text: None)


def test_imported_models_take_part_and_are_marked(store: ModelStore, tmp_path: Path) -> None:
    store.add(llama(0), "open")
    report = run(tmp_path / "out")
    rows = report.rows
    assert len(rows) == (len(KINDS) + 1) * 5
    assert {row["model"] for row in rows} == {NO_MODEL, "tiny", "open"}
    marked = {(row["model"], row["kind"]) for row in rows if row.get("contaminated")}
    assert marked == {("open", kind) for kind in KINDS}, "nobody can have learned the source"
    said = "\n".join(STUDY.conclude(rows))
    assert "open alone, " in said
    assert f"on {UNSEEN}." in said
    assert "on English †" in said
    assert said.splitlines()[-1].startswith("† no fair test")
    page = (tmp_path / "out" / "llm-quick" / "page.md").read_text()
    assert "| here: open † |" in page


def test_without_imported_models_the_page_says_so(store: ModelStore, tmp_path: Path) -> None:
    store.add(build_model(CONFIG, ByteTokenizer(), random_integer_model(seed=1), CARD), "own")
    report = run(tmp_path / "out")
    assert {row["model"] for row in report.rows} == {NO_MODEL, "tiny"}
    assert "No imported model took part" in (tmp_path / "out" / "llm-quick" / "page.md").read_text()


def test_named_models_take_part_in_place_of_all(store: ModelStore, tmp_path: Path) -> None:
    for seed, name in enumerate(("one", "two")):
        store.add(llama(seed), name)
    report = run(tmp_path / "out", "two")
    assert {row["model"] for row in report.rows} == {NO_MODEL, "tiny", "two"}
    assert "--model two" in report.header["environment"]["command"]
    with pytest.raises(ModelNotFound, match="three"):
        run(tmp_path / "other", "three")


def test_a_finished_run_loads_no_model(store: ModelStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = run(tmp_path / "out")
    monkeypatch.setattr(LazyEngine, "__call__", lambda _: pytest.fail("loaded"))
    assert run(tmp_path / "out", resume=True).rows == first.rows


def test_each_id_takes_part_once_by_parameters(store: ModelStore) -> None:
    for name in ("a", "b"):
        store.add(llama(0), name)
    (store.user / "broken.safetensors").write_bytes(b"no model")
    found = contenders(("tiny",), (), store)
    assert sorted((each.name, each.guest) for each in found) == [("a", True), ("tiny", False)]
    assert found[0].parameters <= found[1].parameters
    assert [each.name for each in contenders(("tiny",), ("tiny",), store)] == ["tiny"]


def test_a_card_that_names_the_text_counts_for_new_text_too(store: ModelStore) -> None:
    text, digest = own_text(200), held_out("json", Places(()), 300)
    learned = replace(IMPORTED, sources=(*IMPORTED.sources, DataSource("zipllm", "Apache-2.0")))
    store.add(replace(llama(0), card=learned), "open")
    (found,) = contenders((), (), store)
    assert found.knows(text, newer=True)
    assert found.knows(digest, newer=False)
    assert not found.knows(digest, newer=True)


def test_an_archive_that_decodes_to_something_else_is_no_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scoring, "codec_of", lambda *_: Codec(bytes, bytes.upper))
    with pytest.raises(CorruptData, match="its input"):
        scoring.decoded_archive(None, b"text", history=True)


def test_an_archive_without_its_model_is_told() -> None:
    about = {"kind": UNSEEN, "way": "with history", "raw_bytes": 100, "bpb": 4.0, "model_bytes": 0, "guest": False}
    rows = [
        {"model": NO_MODEL, "bytes": 50, "parameters": 0, **about},
        {"model": "tiny", "model_id": "00", "bytes": 50, "parameters": 9, **about},
    ]
    assert f"archives drop the model: tiny on {UNSEEN}." in "\n".join(STUDY.conclude(rows))


def test_held_out_text_of_a_data_folder_comes_first(tmp_path: Path) -> None:
    sample = (samples_folder() / "data.json").read_bytes()
    assert held_out("json", Places((tmp_path,)), 100).test == sample[:100]
    for part in ("train", "valid"):
        (tmp_path / "train" / part).mkdir(parents=True)
        (tmp_path / "train" / part / "json.txt").write_text(f'["{part}"]\n')
    found = held_out("json", Places((tmp_path,)), 100)
    assert (found.train, found.test, found.origin) == (b"", b'["valid"]\n', "json of the data folder")


def test_own_text_is_code_of_this_package() -> None:
    text = own_text(4000)
    assert 3000 < len(text.test) <= 4000
    assert b"import" in text.test
    assert text.origin.startswith("source of zipllm ")
