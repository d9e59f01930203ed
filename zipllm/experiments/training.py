"""Text to a trained float model, kept on disk: the same plan on the same text is trained once.

All models of the studies are trained by the trainer of ``zipllm train``, with its optimizers and schedule; budgets are
in tokens, so that a result does not depend on how busy the machine was.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zipllm.data.windows import TOKEN_DTYPE, TokenSource, WindowSampler
from zipllm.errors import FileError
from zipllm.model.config import ModelConfig
from zipllm.model.quantize import quantize
from zipllm.model.transformer import Transformer
from zipllm.model_file.build import build_model
from zipllm.model_file.card import Card
from zipllm.model_file.file import Model
from zipllm.tokenizer import ByteTokenizer, Tokenizer, tokenizer_from_dict
from zipllm.tokenizer.bpe import train_bpe
from zipllm.train.compiler import decide_compiler
from zipllm.train.config import TrainConfig
from zipllm.train.start import Start
from zipllm.train.trainer import Trainer

CALIBRATION_WINDOWS = 32
BYTES = 256
"""Size of a vocabulary of bytes."""


@dataclass(frozen=True)
class Shape:
    """Width, layers, heads, feed-forward and window of a network; as ``ModelConfig`` without the vocabulary."""

    width: int
    layers: int
    heads: int
    window: int = 128

    def config(self, vocabulary_size: int) -> ModelConfig:
        """Return the whole shape; the feed-forward is four times the width."""
        return ModelConfig(vocabulary_size, self.width, self.layers, self.heads, 4 * self.width, self.window)


@dataclass(frozen=True)
class Plan:
    """What is trained, and for how long.

    Attributes:
        shape: of the network; not looked at where training goes on from a model.
        tokens: to train on, repeats counted.
        vocabulary: 256 for bytes, else the size of a byte-pair vocabulary that is learned from the training text.
        sequence: tokens in a training window.
        batch: windows in a step; few, since many small steps learn most from few tokens.
        rate: factor on the learning rates of ``zipllm train``; fine-tuning takes a lower one.
    """

    shape: Shape
    tokens: int
    vocabulary: int = BYTES
    sequence: int = 256
    batch: int = 4
    rate: float = 2.0

    def train_config(self, seed: int) -> TrainConfig:
        """Return the trainer's settings."""
        usual = TrainConfig(steps=1)
        rates = {name: getattr(usual, name) * self.rate for name in ("matrix_lr", "embedding_lr", "head_lr")}
        return TrainConfig(
            tokens=self.tokens,
            sequence=self.sequence,
            batch=self.batch,
            seed=seed,
            evaluate_every=1e9,
            save_every=1.0,
            scalar_lr=usual.scalar_lr * self.rate,
            **rates,
        )


QUICK = Plan(Shape(64, 2, 2), 600_000)
FULL = Plan(Shape(128, 4, 4, 256), 8_000_000, sequence=512)
"""What most studies train, by scale, so that they share the models."""
QUICK_TEXT, FULL_TEXT = 1_000_000, 8_000_000
"""Bytes of text to train these on."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model.

    Attributes:
        model: in floats, not rounding.
        tokenizer: of its tokens.
        calibration: windows of training text, int64 ``[n, sequence]``.
        tokens: trained on.
        seconds: that took, on the clock, also if it was in an earlier run.
        name: of what it was trained on.
    """

    model: Transformer
    tokenizer: Tokenizer
    calibration: Tensor
    tokens: int
    seconds: float
    name: str

    @property
    def parameters(self) -> int:
        """Weights in the layers and in the embeddings."""
        return sum(self.model.config.parameter_counts())

    def export(self, weight_bits: int = 8) -> Model:
        """Return the model in integers, as it codes."""
        integer = quantize(self.model, self.calibration, weight_bits=weight_bits)
        card = Card("study", f"trained by a study on {self.name}", tokens=self.tokens, seconds=round(self.seconds, 1))
        return build_model(self.model.config, self.tokenizer, integer, card)


def train(
    plan: Plan,
    name: str,
    text: bytes,
    folder: Path,
    *,
    seed: int,
    start: Start | None = None,
    watch: Callable[[Trainer, Tokenizer], None] | None = None,
) -> Trained:
    """Train, or take what is there.

    Args:
        plan: what.
        name: of the text, for messages and cards.
        text: to learn from; shorter text than one window is repeated.
        folder: where trained models are kept.
        seed: initial weights and order of windows.
        start: weights and tokenizer to go on from.
        watch: runs the training itself instead of ``Trainer.train``, to look at it on the way.

    Raises:
        UsageError: the loss is no longer finite.
        FileError: the folder cannot be written.
    """
    home = folder / _identity(plan, text, seed, start)
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise FileError(f"{home}: {error.strerror or error}") from error
    tokenizer = start.tokenizer if start else _tokenizer(plan, text, home)
    tokens = _tokens(tokenizer, text, plan.sequence)
    trainer = Trainer(
        home,
        start.model.config if start else plan.shape.config(len(tokenizer.vocabulary)),
        plan.train_config(seed),
        [TokenSource(name, tokens, 1.0)],
        [],
        np.array([len(token) for token in tokenizer.vocabulary]),
        start=_copy(start.model) if start else None,
        resume=True,
    )
    if not trainer.is_finished():
        decide_compiler(trainer, lambda note: None)
    if watch is not None:
        watch(trainer, tokenizer)
    elif not trainer.is_finished():
        trainer.train(lambda report: None)
    return snapshot(trainer, tokenizer, name)


def snapshot(trainer: Trainer, tokenizer: Tokenizer, name: str) -> Trained:
    """Return a copy of the model as training has it now."""
    model = _copy(trainer.model)
    sampler = WindowSampler(trainer.sources, trainer.config.sequence, trainer.config.seed + 1)
    state = trainer.state
    return Trained(
        model, tokenizer, torch.from_numpy(sampler.batch(CALIBRATION_WINDOWS)), state.tokens, state.seconds, name
    )


def as_start(trained: Trained) -> Start:
    """Return a trained model as what fine-tuning goes on from."""
    return Start(trained.model, trained.tokenizer, trained.name)


def _copy(model: Transformer) -> Transformer:
    """The same weights in a new model that does not round."""
    copy = Transformer(model.config)
    copy.load_state_dict(model.state_dict())
    copy.final_clip.zero_()
    return copy.eval()


def _tokens(tokenizer: Tokenizer, text: bytes, sequence: int) -> NDArray[np.uint16]:
    tokens = tokenizer.encode(text).astype(TOKEN_DTYPE)
    return np.tile(tokens, -(-sequence // max(1, len(tokens)))) if len(tokens) < sequence else tokens


def _tokenizer(plan: Plan, text: bytes, home: Path) -> Tokenizer:
    """Bytes, or the byte pairs that were learned before, or now."""
    if plan.vocabulary == BYTES:
        return ByteTokenizer()
    path = home / "tokenizer.json"
    if path.exists():
        return tokenizer_from_dict(json.loads(path.read_text(encoding="utf-8")))
    learned = train_bpe([text], plan.vocabulary)
    path.write_text(json.dumps(learned.to_dict()), encoding="utf-8")
    return learned


def _identity(plan: Plan, text: bytes, seed: int, start: Start | None) -> str:
    """A name that is the same for the same training."""
    digest = hashlib.sha256(json.dumps([asdict(plan), seed], sort_keys=True).encode())
    digest.update(hashlib.sha256(text).digest())
    if start is not None:
        for parameter in start.model.state_dict().values():
            digest.update(parameter.numpy().tobytes())
    return digest.hexdigest()[:20]
