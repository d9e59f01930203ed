"""Folders with models for the tests of several packages; tests that ask for one are skipped without transformers."""

from pathlib import Path
from types import ModuleType

import pytest


def folders() -> ModuleType:
    """The makers of folders."""
    pytest.importorskip("transformers", reason="needs transformers: pip install 'zipllm[hf]'")
    from tests.huggingface import folders

    return folders


@pytest.fixture(scope="session")
def gpt2(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders().save_gpt2(tmp_path_factory.mktemp("models") / "gpt2")


@pytest.fixture(scope="session")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders().save_llama(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture(scope="session")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return folders().save_bert(tmp_path_factory.mktemp("models") / "bert")
