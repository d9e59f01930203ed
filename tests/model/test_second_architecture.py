"""A network of another architecture: one line registers it, and everything from training to coding works."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import zipllm
from tests.model.toy import ToyArchitecture, ToyConfig, ToyNetwork
from zipllm.data.windows import TokenSource
from zipllm.errors import ModelInvalid
from zipllm.model import architecture
from zipllm.model.architecture import Architecture, architecture_of, config_from_dict, preset
from zipllm.model.parameters import IntegerParameters
from zipllm.model.transformer.architecture import TransformerArchitecture
from zipllm.model.transformer.config import TransformerConfig
from zipllm.model.transformer.float_form import Transformer
from zipllm.model.transformer.parameters import TransformerParameters
from zipllm.model_file.card import Card, render_card
from zipllm.model_file.file import Model, build_model, check_reference, model_from_bytes, model_to_bytes, save_model
from zipllm.tokenizer import ByteTokenizer
from zipllm.train.config import TrainConfig
from zipllm.train.trainer import Trainer

TEXT = b"the quick brown fox jumps over the lazy dog; " * 200

TRANSFORMER: Architecture[TransformerConfig, TransformerParameters, Transformer] = TransformerArchitecture()
TOY: Architecture[ToyConfig, IntegerParameters, ToyNetwork] = ToyArchitecture()


@pytest.fixture(autouse=True, scope="module")
def registered() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(architecture.ARCHITECTURES, "toy", "tests.model.toy:ToyArchitecture")
        yield


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("run")


@pytest.fixture(scope="module")
def model(run: Path) -> Model:
    """A toy trained on the text."""
    tokens = np.frombuffer(TEXT, dtype=np.uint8).astype(np.uint16)
    config = TrainConfig(steps=30, batch=4, sequence=64, matrix_lr=0.05, head_lr=0.05, embedding_lr=0.05)
    trainer = Trainer(
        run, preset("doll", 256), config, [TokenSource("text", tokens, 1.0)], [], np.ones(256, dtype=np.int64)
    )
    trainer.train(lambda report: None)
    integer = architecture_of(trainer.model.config).quantize(trainer.model, trainer.example())
    return build_model(trainer.model.config, ByteTokenizer(), integer, Card("doll"))


def test_trains_saves_loads_and_codes(model: Model, tmp_path: Path) -> None:
    path = tmp_path / "doll.safetensors"
    save_model(model, path)
    loaded = model_from_bytes(path.read_bytes())
    assert loaded.config == ToyConfig(256, width=16)
    check_reference(loaded)
    archive = zipllm.compress(TEXT, model=path, history=False, sample=False)
    assert len(archive) < len(TEXT) / 2
    assert zipllm.decompress(archive, model=path) == TEXT


def test_its_checkpoint_names_it(model: Model, run: Path) -> None:
    description = json.loads(next(run.glob("step-*/state.json")).read_text())
    assert description["model"] == {"architecture": "toy", "vocabulary_size": 256, "width": 16}


def test_its_card_names_its_shape(model: Model) -> None:
    page = render_card(model.card, model.config, model.model_id, 1)
    assert "one matrix of width 16, window 1 tokens" in page


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c.update(architecture="rwkv"), r"network architecture 'rwkv' \(known: transformer, llama, toy\)"),
        (lambda c: c.update(architecture=["toy"]), "unknown network architecture"),
        (lambda c: c.pop("width"), "exactly the fields vocabulary_size, width"),
        (lambda c: c.update(width=1_001), "config: width must be at most 1000, not 1001"),
        (lambda c: c.pop("architecture"), "exactly the fields feedforward, heads"),
    ],
)
def test_hostile_configs_are_refused(model: Model, change: Callable[[dict[str, object]], None], message: str) -> None:
    data = model_to_bytes(model)
    length = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:length])
    metadata = json.loads(header["__metadata__"]["zipllm"])
    change(metadata["config"])
    header["__metadata__"]["zipllm"] = json.dumps(metadata)
    text = json.dumps(header).encode()
    with pytest.raises(ModelInvalid, match=message):
        model_from_bytes(len(text).to_bytes(8, "little") + text + data[length:])


def test_hostile_values_are_refused(model: Model) -> None:
    arrays = dict(model.integer.values) | {"logits": model.integer["logits"] + (1 << 29)}
    with pytest.raises(ModelInvalid, match="model logits: out of range"):
        architecture_of(model.config).parameters(model.config, arrays)


def test_a_config_without_a_name_is_a_transformer() -> None:
    config = TransformerConfig(256, width=16, layers=1, heads=2, feedforward=32, window=8)
    assert "architecture" not in config.to_dict()
    assert config_from_dict(config.to_dict()) == config
    assert architecture_of(config).config is TransformerConfig
