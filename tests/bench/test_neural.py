"""zipllm as a codec of the benchmark, with a tiny model."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from tests.bench.rows import bench_input
from tests.codec.engines import TEXT
from tests.model_file.conftest import CARD, CONFIG, random_integer_model
from zipllm.bench.codecs import parse_codecs
from zipllm.bench.neural import open_zipllm, options_of, program_bytes, zipllm_settings
from zipllm.bench.protocol import parse_spec
from zipllm.bench.runner import RunOptions, run_benchmark
from zipllm.codec.levels import encode_options
from zipllm.errors import UsageError
from zipllm.model_file.file import build_model, model_to_bytes
from zipllm.tokenizer.byte import ByteTokenizer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny.safetensors"
    path.write_bytes(model_to_bytes(build_model(CONFIG, ByteTokenizer(), random_integer_model(), CARD)))
    return path


def test_a_model_in_its_own_process(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZIPLLM_KERNELS", "reference")
    specs = parse_codecs("zipllm", str(model))
    item = bench_input(tmp_path, TEXT)
    (row,) = run_benchmark([item], specs, RunOptions(threads=1))
    assert (row.status, row.message) == ("ok", "")
    assert row.compressed_bytes is not None
    assert row.compress is not None
    assert row.weights_bytes == os.path.getsize(model)
    assert row.adjusted_bytes == row.compressed_bytes + os.path.getsize(model)
    assert row.total_bytes == row.adjusted_bytes + program_bytes()
    assert (row.model, len(row.model_id)) == ("tiny", 64)
    assert row.parameters == sum(CONFIG.parameter_counts())
    assert row.compress.startup_s > row.compress.min_s / 1000


def test_archives_are_those_of_the_codec(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import zipllm

    monkeypatch.setenv("ZIPLLM_KERNELS", "reference")
    codec = open_zipllm(parse_spec(f"zipllm:{model}"))
    archive = codec.compress(TEXT)
    assert archive == zipllm.compress(TEXT, model=model)
    assert zipllm.decompress(archive, model=model) == TEXT
    assert codec.decompress(archive) == TEXT


def test_options_reach_the_encoder() -> None:
    for entry, options in {
        "zipllm": encode_options(),
        "zipllm:9": encode_options(9),
        "zipllm:small/lanes=3": encode_options(lanes=3),
        "zipllm:small/8/history=off": encode_options(8, history=False),
    }.items():
        assert options_of(zipllm_settings(parse_spec(entry))) == replace(options, verify=False)


def test_a_level_without_a_model() -> None:
    codec = open_zipllm(parse_spec("zipllm:2"))
    assert (codec.facts.level, codec.facts.weights_bytes, codec.facts.model) == ("2", 0, "")
    assert codec.decompress(codec.compress(TEXT)) == TEXT


@pytest.mark.parametrize("entry", ["zipllm:small/color=3", "zipllm:lanes=many", "zipllm:lanes=0"])
def test_wrong_settings(entry: str) -> None:
    with pytest.raises(UsageError):
        parse_codecs(entry, None)
