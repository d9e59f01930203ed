"""Engines stay in memory by their content: a file that changes under its name is another model."""

import io
import os
import shutil
from pathlib import Path

import pytest

import zipllm
from tests.codec.engines import byte_engine
from tests.model_file.conftest import CARD, CONFIG, random_integer_model
from zipllm.codec.decoder import DecodeOptions
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.container import ModelRecord
from zipllm.engine import engine as module
from zipllm.engine.engine import Engine, engine_from_model_file, find_engine, kept, load_engine
from zipllm.errors import ModelInvalid, ModelNotFound
from zipllm.model_file.file import build_model, model_to_bytes
from zipllm.tokenizer import ByteTokenizer

FIRST, SECOND = (
    model_to_bytes(build_model(CONFIG, ByteTokenizer(), random_integer_model(seed=seed), CARD)) for seed in (0, 1)
)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of models, the current one; nothing is kept."""
    kept.clear()
    monkeypatch.setenv("ZIPLLM_MODEL_PATH", str(tmp_path))
    monkeypatch.setenv("ZIPLLM_KERNELS", "reference")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def coded(raw: bytes, query: str, embed_model: bool = False) -> bytes:
    """Return an archive whose block the model codes."""
    sink = io.BytesIO()
    options = EncodeOptions(fallback=False, verify=False, embed_model=embed_model)
    compress_stream(io.BytesIO(raw), sink, engine=load_engine(query), options=options)
    return sink.getvalue()


@pytest.mark.parametrize("query", ["m", "m.safetensors", "./m.safetensors"])
@pytest.mark.parametrize("in_place", [True, False])
def test_a_model_replaced_under_its_name(store: Path, query: str, in_place: bool) -> None:
    path = store / "m.safetensors"
    path.write_bytes(FIRST)
    first = load_engine(query)
    assert load_engine(query) is first
    if in_place:
        path.write_bytes(SECOND)
        os.utime(path, ns=(1, 1))  # a clock may stand still between two writes
    else:
        (store / "new").write_bytes(SECOND)
        (store / "new").replace(path)
    second = load_engine(query)
    assert second.model_id == engine_from_model_file(SECOND).model_id != first.model_id
    archive = coded(b"some text", query)
    kept.clear()
    assert zipllm.decompress(archive) == b"some text"


def test_a_relative_path_after_chdir(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, data in (("a", FIRST), ("b", SECOND)):
        (store / name).mkdir()
        (store / name / "m.safetensors").write_bytes(data)
    monkeypatch.chdir(store / "a")
    first = load_engine("./m.safetensors")
    monkeypatch.chdir(store / "b")
    assert load_engine("./m.safetensors").model_id != first.model_id
    (store / "b" / "m.safetensors").unlink()
    with pytest.raises(ModelNotFound):
        load_engine("./m.safetensors")


def test_one_content_under_several_names_is_loaded_once(store: Path) -> None:
    (store / "m.safetensors").write_bytes(FIRST)
    first = load_engine("m")
    shutil.copy(store / "m.safetensors", store / "copy.safetensors")
    assert load_engine(Path("copy.safetensors")) is load_engine(first.model_id.hex()) is first
    assert find_engine(first.model_id) is first
    for name in ("m", "copy"):
        (store / f"{name}.safetensors").unlink()
    with pytest.raises(ModelNotFound):
        find_engine(first.model_id)


def test_archives_that_cycle_through_models_load_each_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    engine = byte_engine()

    def make(number: int) -> Engine:
        made.append(number)
        return engine

    for number in [*range(20)] * 3:
        kept.get(number, module.KEPT_BYTES // 20, lambda number=number: make(number))  # type: ignore[misc]
    assert made == [*range(20)]
    for number in (20, 21, 20, 5):
        kept.get(number, module.KEPT_BYTES, lambda number=number: make(number))  # type: ignore[misc]
    assert made[20:] == [20, 21, 20, 5], "what is too large together is dropped"


@pytest.mark.parametrize("damage", ["tensors", "header", "missing", "unreadable"])
def test_an_embedded_model_stands_in_for_an_unusable_one(store: Path, damage: str) -> None:
    """The store holds a file that claims the archive's id and is damaged, or none at all."""
    path = store / "m.safetensors"
    path.write_bytes(FIRST)
    raw = b"some text"
    archive, named = coded(raw, "m", embed_model=True), coded(raw, "m")
    kept.clear()
    if damage == "tensors":
        path.write_bytes(FIRST[:-100] + bytes(100))
    elif damage == "header":
        path.write_bytes(FIRST[:100])
    else:
        path.unlink()
        if damage == "unreadable":
            path.mkdir()
    assert zipllm.decompress(archive) == raw
    with pytest.raises((ModelInvalid, ModelNotFound)):
        zipllm.decompress(named)


def test_an_embedded_model_of_another_id_is_refused(store: Path) -> None:
    record = ModelRecord(engine_from_model_file(FIRST).model_id, SECOND, None)
    with pytest.raises(zipllm.ModelMismatch):
        DecodeOptions().engine_of(lambda: record)()


def test_a_folder_of_hugging_face_that_changes_is_another_model(tmp_path: Path) -> None:
    pytest.importorskip("transformers")
    from zipllm.huggingface.folder import Folder

    folder = Folder(tmp_path, "", "causal")
    (tmp_path / "config.json").write_text("1")
    states = {folder.state()}
    (tmp_path / "config.json").write_text("12")
    states.add(folder.state())
    (tmp_path / "more").write_text("1")
    states.add(folder.state())
    assert len(states) == 3
    assert folder.state() in states
