"""The shipped models: whole, small enough, and better than the conventional codecs at prose."""

import lzma
from pathlib import Path

import pytest

import zipllm
from zipllm.codec.levels import LEVELS
from zipllm.engine.engine import Engine, engine_from_model
from zipllm.model_file.card import render_card
from zipllm.model_file.file import Model, check_reference
from zipllm.model_file.store import DEFAULT_MODEL, ModelStore, StoredModel

ENGLISH = (Path(__file__).parents[2] / "zipllm/container/FORMAT.md").read_bytes()
CHINESE = """话说天下大势，分久必合，合久必分。周末七国分争，并入于秦；及秦灭之后，楚、汉分争，又并入于汉。
汉朝自高祖斩白蛇而起义，一统天下，后来光武中兴，传至献帝，遂分为三国。""".encode()


LARGEST = {"nano": 1_500_000, "small": 10_000_000, "base": 21_000_000}
"""Bytes."""


@pytest.fixture(scope="module", params=LARGEST)
def stored(request: pytest.FixtureRequest) -> StoredModel:
    return ModelStore.default().find(request.param)


@pytest.fixture(scope="module")
def model(stored: StoredModel) -> Model:
    return ModelStore.default().load(stored.path)


@pytest.fixture(scope="module")
def engine(model: Model) -> Engine:
    return engine_from_model(model)


def test_it_is_the_shipped_one_and_small_enough(stored: StoredModel) -> None:
    assert stored.origin == "shipped"
    assert stored.path.stat().st_size <= LARGEST[stored.name]


def test_there_are_no_others() -> None:
    shipped = {stored.name for stored in ModelStore.default().models() if stored.origin == "shipped"}
    assert shipped == {*LARGEST, DEFAULT_MODEL} == {*LARGEST, *filter(None, (level.model for level in LEVELS.values()))}


def test_its_self_test_passes_on_the_reference(model: Model) -> None:
    check_reference(model)


def test_the_card_beside_it_is_its_own(stored: StoredModel, model: Model) -> None:
    page = render_card(model.card, model.config, model.model_id, stored.path.stat().st_size)
    assert stored.path.with_suffix(".md").read_text(encoding="utf-8") == page


def test_the_integer_form_costs_little(model: Model) -> None:
    floats = sum(result.float_bpb * result.bytes for result in model.card.results)
    integers = sum(result.integer_bpb * result.bytes for result in model.card.results)
    assert integers / floats < 1.005


@pytest.mark.parametrize("data", [ENGLISH, CHINESE, ENGLISH[:1000]], ids=["english", "chinese", "1000 bytes"])
def test_text_is_smaller_than_xz_makes_it(engine: Engine, data: bytes) -> None:
    archive = zipllm.compress(data, model=engine)
    assert zipllm.decompress(archive, model=engine) == data
    assert len(archive) < 0.9 * len(lzma.compress(data, preset=9 | lzma.PRESET_EXTREME))


def test_reference_and_kernels_write_the_same_archive(
    model: Model, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ZIPLLM_KERNELS", "reference")
    reference = engine_from_model(model)
    data = ENGLISH[:700]
    archive = zipllm.compress(data, model=reference, lanes=3)
    assert archive == zipllm.compress(data, model=engine, lanes=3)
    assert zipllm.decompress(archive, model=engine) == data
