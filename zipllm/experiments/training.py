"""Text -> trained float model, kept on disk: the same plan on the same text is trained once.

The trainer of ``zipllm train`` trains all models of the studies, with its optimizers and schedule. Budgets are in
tokens, so that a result does not depend on how busy the machine was.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from zipllm.data.windows import TOKEN_DTYPE, TokenSource, WindowSampler
from zipllm.errors import file_errors
from zipllm.model.architecture import architecture_of
from zipllm.model.float_network import FloatNetwork
from zipllm.model.transformer.config import TransformerConfig
from zipllm.model_file.card import Card
from zipllm.model_file.file import Model, build_model
from zipllm.tokenizer import ByteTokenizer, Tokenizer, tokenizer_from_dict
from zipllm.tokenizer.bpe import train_bpe
from zipllm.train.compiler import decide_compiler
from zipllm.train.config import TrainConfig
from zipllm.train.start import Start
from zipllm.train.trainer import Trainer

CALIBRATION_WINDOWS = 32
BYTES = 256
"""Size of the byte vocabulary."""


@dataclass(frozen=True)
class Plan:
    """What is trained, and for how long. Training from a model ignores the shape.

    Attributes:
        width: size of the residual stream; one head for each 32, a feed-forward layer of four times the width.
        layers: number of blocks.
        tokens: to train on, repeats included.
        window: tokens that attention sees.
        vocabulary: 256 for bytes, else the size of a byte-pair vocabulary learned from the training text.
        sequence: tokens in a training window.
        batch: windows in a step; few, since many small steps learn most from few tokens.
        rate: factor on the learning rates of ``zipllm train``; lower for fine-tuning.
    """

    width: int
    layers: int
    tokens: int
    window: int = 128
    vocabulary: int = BYTES
    sequence: int = 256
    batch: int = 4
    rate: float = 2.0

    def model_config(self, vocabulary_size: int) -> TransformerConfig:
        """Return the shape of the network; a learned vocabulary may have fewer tokens than planned."""
        heads = max(1, self.width // 32)
        return TransformerConfig(vocabulary_size, self.width, self.layers, heads, 4 * self.width, self.window)

    def train_config(self, seed: int) -> TrainConfig:
        """Return the trainer's settings."""
        usual = TrainConfig(steps=1)
        names = ("matrix_lr", "embedding_lr", "head_lr", "scalar_lr")
        return TrainConfig(
            tokens=self.tokens,
            sequence=self.sequence,
            batch=self.batch,
            seed=seed,
            evaluate_every=1e9,
            save_every=1.0,
            **{name: getattr(usual, name) * self.rate for name in names},
        )


QUICK = Plan(64, 2, 600_000)
FULL = Plan(128, 4, 8_000_000, window=256, sequence=512)
"""Plans of most studies, by scale, so that they share the models."""
QUICK_TEXT, FULL_TEXT = 1_000_000, 8_000_000
"""Bytes of training text for these plans."""


@dataclass(frozen=True, eq=False)
class Trained:
    """A trained model.

    Attributes:
        model: in floats, without rounding.
        tokenizer: its own.
        calibration: windows of training text, int64 ``[n, sequence]``.
        tokens: number of tokens trained on.
        seconds: wall time of the training, possibly of an earlier run.
        name: of the training text.
    """

    model: FloatNetwork
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
        """Return the integer model, which codes."""
        integer = architecture_of(self.model.config).quantize(self.model, self.calibration, weight_bits=weight_bits)
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
    until: int | None = None,
) -> Trained:
    """Train a model, or load it if the same training has finished before.

    Args:
        plan: shape and budget.
        name: of the text, for messages and cards.
        text: training text, repeated if it is shorter than one window.
        folder: where trained models are kept.
        seed: of initial weights and the order of windows.
        start: weights and tokenizer to start from.
        until: number of tokens after which training pauses; a later call goes on from there.

    Raises:
        UsageError: the loss is no longer finite.
        FileError: the folder cannot be written.
    """
    home = folder / _identity(plan, text, seed, start)
    with file_errors(home):
        home.mkdir(parents=True, exist_ok=True)
    tokenizer = start.tokenizer if start else _tokenizer(plan, text, home)
    tokens = tokenizer.encode(text).astype(TOKEN_DTYPE)
    if len(tokens) < plan.sequence:
        tokens = np.tile(tokens, -(-plan.sequence // max(1, len(tokens))))
    trainer = Trainer(
        home,
        start.model.config if start else plan.model_config(len(tokenizer.vocabulary)),
        plan.train_config(seed),
        [TokenSource(name, tokens, 1.0)],
        [],
        np.array([len(token) for token in tokenizer.vocabulary]),
        start=_copy(start.model) if start else None,
        resume=True,
    )
    if not trainer.is_finished():
        decide_compiler(trainer, lambda note: None)
        trainer.train(lambda report: None, lambda: until is not None and trainer.state.tokens >= until)
    sampler = WindowSampler(trainer.sources, trainer.config.sequence, trainer.config.seed + 1)
    calibration = torch.from_numpy(sampler.batch(CALIBRATION_WINDOWS))
    state = trainer.state
    return Trained(_copy(trainer.model), tokenizer, calibration, state.tokens, state.seconds, name)


def shipped_model(start: Start, text: bytes, sequence: int) -> Trained:
    """Return a model as it is, calibrated on windows of a text."""
    tokens = torch.from_numpy(start.tokenizer.encode(text[: 8 * CALIBRATION_WINDOWS * sequence])).long()
    length = min(sequence, len(tokens))
    windows = tokens[: len(tokens) // length * length].view(-1, length)[:CALIBRATION_WINDOWS]
    return Trained(start.model.eval(), start.tokenizer, windows, 0, 0.0, start.name)


def _copy(model: FloatNetwork) -> FloatNetwork:
    """Return the same weights in a new model that does not round."""
    copy: FloatNetwork = architecture_of(model.config).float_form(model.config)
    copy.load_state_dict(model.state_dict())
    copy.final_clip.zero_()
    return copy.eval()


def _tokenizer(plan: Plan, text: bytes, home: Path) -> Tokenizer:
    """Return the byte tokenizer, or byte pairs learned before or now."""
    if plan.vocabulary == BYTES:
        return ByteTokenizer()
    path = home / "tokenizer.json"
    if path.exists():
        return tokenizer_from_dict(json.loads(path.read_text(encoding="utf-8")))
    learned = train_bpe([text], plan.vocabulary)
    path.write_text(json.dumps(learned.to_dict()), encoding="utf-8")
    return learned


def _identity(plan: Plan, text: bytes, seed: int, start: Start | None) -> str:
    """Return a name that depends on everything that decides the training."""
    digest = hashlib.sha256(json.dumps([asdict(plan), seed], sort_keys=True).encode())
    digest.update(hashlib.sha256(text).digest())
    if start is not None:
        for parameter in start.model.state_dict().values():
            digest.update(parameter.numpy().tobytes())
    return digest.hexdigest()[:20]
