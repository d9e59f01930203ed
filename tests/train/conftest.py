"""A toy corpus and a toy run, small enough to train in about a second."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from zipllm.data.windows import TokenSource
from zipllm.model.transformer.config import TransformerConfig
from zipllm.model.transformer.float_form import Transformer
from zipllm.train.config import TrainConfig
from zipllm.train.trainer import Trainer

TEXT = b"the cat sat on the mat. the dog sat on the log. " * 60
MakeTrainer = Callable[..., Trainer]


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Toy matrices are slower on several threads, which would wait for each other on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def make_trainer(tmp_path: Path) -> MakeTrainer:
    def make(
        run: str = "run",
        *,
        start: Transformer | None = None,
        resume: bool = False,
        note: Callable[[str], None] = pytest.fail,
        tied: bool = False,
        **settings: object,
    ) -> Trainer:
        tokens = np.frombuffer(TEXT, dtype=np.uint8).astype("<u2")
        defaults: dict[str, object] = {
            "steps": 12,
            "sequence": 32,
            "batch": 4,
            "compile": "off",
            "precision": "float32",
        }
        config = TrainConfig(**{**defaults, **settings})  # type: ignore[arg-type]
        folder = tmp_path / run
        folder.mkdir(exist_ok=True)
        return Trainer(
            folder,
            TransformerConfig(256, width=16, layers=1, heads=2, feedforward=32, window=16, tied=tied),
            config,
            [TokenSource("toy", tokens[:2000], 1.0)],
            [TokenSource("held", tokens[2000:], 1.0)],
            np.ones(256, dtype=np.int64),
            start=start,
            resume=resume,
            note=note,
        )

    return make


@pytest.fixture
def feed(tmp_path: Path) -> Iterator[Callable[[bytes], None]]:
    """Put content on standard input."""
    saved = os.dup(0)

    def put(content: bytes) -> None:
        path = tmp_path / "standard input"
        path.write_bytes(content)
        descriptor = os.open(path, os.O_RDONLY)
        os.dup2(descriptor, 0)
        os.close(descriptor)

    yield put
    os.dup2(saved, 0)
    os.close(saved)
