"""Folders with models for the tests of several packages; tests that ask for one are skipped without transformers."""

from pathlib import Path
from typing import Any

import pytest


def folders() -> Any:
    """The module with the makers of folders, which can only be imported where transformers is."""
    pytest.importorskip("transformers", reason="needs transformers: pip install 'zipllm[hf]'")
    from tests.huggingface import folders

    return folders


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    saved: Path = folders().save_gpt2(tmp_path_factory.mktemp("models") / "gpt2")
    return saved


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    saved: Path = folders().save_llama(tmp_path_factory.mktemp("models") / "llama")
    return saved


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    saved: Path = folders().save_bert(tmp_path_factory.mktemp("models") / "bert")
    return saved
