"""A Hugging Face model as a predictor: it computes floats, which only one machine reproduces.

A pass over many tokens and single steps give slightly different floats. Coding therefore feeds one token of one lane
at a time (``stepwise``): always the same operations on the same shapes, so that the contract of
``zipllm.predictor.base`` holds on one machine. Measuring uses passes, which are much faster.

A lane begins with the model's own start token. When the context is full, it restarts with its last half, fed in one
pass; so a token sees between half of the context and all of it.
"""

import inspect
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Unpack

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zipllm.errors import ModelInvalid
from zipllm.huggingface.folder import Loaded, ask
from zipllm.huggingface.tokenizer import HuggingFaceTokenizer
from zipllm.predictor.base import PRECISION, Integers, PredictOptions, Traits, delivered
from zipllm.predictor.ngram import cumulative_frequencies

_SCALE = 1 << 30
_CLOSE = 1e-3
"""Tolerated relative difference of scores; a model that sees the following token differs far more."""


@dataclass
class _Lane:
    """The context of a lane: the model's ids, and the library's cache of their keys and values."""

    ids: list[int] = field(default_factory=list)
    cache: Any = None


class HuggingFacePredictor:
    """Predicts with a causal model of the Hugging Face library.

    Args:
        loaded: the model.
        tokenizer: its tokens as bytes.
        stepwise: see above; False is for measuring.

    Attributes:
        context: most tokens that a prediction sees.
        kept: tokens that a full context restarts with.

    Raises:
        ModelInvalid: the model sees following tokens, has no cache, or computes numbers that are not finite.
    """

    traits = Traits(exact=False)

    def __init__(self, loaded: Loaded, tokenizer: HuggingFaceTokenizer, *, stepwise: bool = True) -> None:
        self.vocabulary = tokenizer.vocabulary
        self.precision = PRECISION
        self.start_token = len(self.vocabulary)
        self.stepwise = stepwise
        self.context = loaded.context
        self.kept = max(1, loaded.context // 2)
        self.loaded = loaded
        self._tokenizer = tokenizer
        self._model_ids = np.append(tokenizer.model_ids, _start_id(loaded))
        self._predicted = torch.from_numpy(np.concatenate([tokenizer.model_ids, tokenizer.doubles[:, 1]]))
        self._lost, self._predictions = 0.0, 0
        parameters = inspect.signature(loaded.network.forward).parameters
        self._memory = "cache" if "cache" in parameters else "past_key_values"  # its name before 5.24
        self._check()
        self.lane_bytes = self._lane_bytes()

    def measuring(self) -> "HuggingFacePredictor":
        """Return the same model without ``stepwise``: faster, for measuring only."""
        return HuggingFacePredictor(self.loaded, self._tokenizer, stepwise=False)

    def left_out_share(self) -> float:
        """Return the mean probability of ids that stand for no bytes, over all predictions since the last call."""
        share = self._lost / self._predictions if self._predictions else 0.0
        self._lost, self._predictions = 0.0, 0
        return share

    def start(self, lanes: int) -> list[_Lane]:
        return [_Lane() for _ in range(lanes)]

    def predict(self, state: list[_Lane], tokens: Integers, lanes: Integers, **how: Unpack[PredictOptions]) -> Integers:
        rows = [self._predict(state[lane], row) for lane, row in zip(lanes.tolist(), tokens, strict=True)]
        return delivered(np.stack(rows), how)

    def copy(self, state: list[_Lane], lanes: int) -> list[_Lane]:
        raise NotImplementedError("the library's cache cannot be copied")

    def scores(self, state: list[_Lane], tokens: NDArray[np.int32]) -> Tensor:
        """Feed int32 ``[T]`` to lane 0 and return the library's own scores, float ``[T, rows]``."""
        return torch.cat(list(self._scores(state[0], tokens)))

    def _predict(self, lane: _Lane, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return int32 ``[T, V + 1]``, the cumulative frequencies after each of int32 ``[T]``."""
        return np.concatenate([self._frequencies(scores) for scores in self._scores(lane, tokens)])

    def _scores(self, lane: _Lane, tokens: NDArray[np.int32]) -> "list[Tensor]":
        ids = self._model_ids[tokens].tolist()
        found, at = [], 0
        while at < len(ids):
            if len(lane.ids) == self.context:
                again = _Lane()
                self._forward(again, lane.ids[-self.kept :])
                lane.ids, lane.cache = again.ids, again.cache
            end = min(len(ids), at + (1 if self.stepwise else self.context - len(lane.ids)))
            found.append(self._forward(lane, ids[at:end]))
            at = end
        return found

    def _forward(self, lane: _Lane, ids: list[int]) -> Tensor:
        """Add ids to a lane's context in one pass, and return scores float ``[T, rows]`` on the CPU."""
        said = self._ask(ids, use_cache=True, **{self._memory: lane.cache})
        lane.cache = getattr(said, self._memory, None)
        if lane.cache is None:
            raise ModelInvalid(f"{self.loaded.folder.architecture} has no cache of what it has read")
        lane.ids += ids
        return self._finite(said.logits[0])

    def _ask(self, ids: list[int], **memory: Any) -> Any:
        return ask(self.loaded, input_ids=torch.tensor([ids], device=self.loaded.device), **memory)

    def _finite(self, scores: Tensor) -> Tensor:
        if not torch.isfinite(scores).all():
            raise ModelInvalid(f"{self.loaded.folder.architecture} computes numbers that are not finite")
        return scores.cpu()

    def _frequencies(self, scores: Tensor) -> NDArray[np.int32]:
        """Distribute all probability over the ids that stand for bytes, and sum it per token: int32 ``[T, V + 1]``."""
        wanted = scores[:, self._predicted].double()
        said = torch.logsumexp(wanted, -1) - torch.logsumexp(scores.double(), -1)
        self._lost += float((1 - said.exp()).clamp(min=0).sum())
        self._predictions += len(scores)
        shares = torch.softmax(wanted, -1).numpy()
        chances, more = shares[:, : self.start_token], shares[:, self.start_token :]
        for column, token in enumerate(self._tokenizer.doubles[:, 0].tolist()):
            chances[:, token] += more[:, column]
        return cumulative_frequencies((chances * _SCALE).astype(np.int64), self.precision)

    def _check(self) -> None:
        """Require that scores depend on nothing behind a token, and that pieces give what one pass gives."""
        start, *others = self._model_ids[np.linspace(self.start_token, 0, 5, dtype=np.int64)].tolist()
        one, other = (
            self._finite(self._ask([start, *two], use_cache=False).logits[0]) for two in (others[:2], others[2:])
        )
        name = f"{self.loaded.folder.architecture} of {str(self.loaded.folder.path)!r}"
        if not _close(one[0], other[0]):
            raise ModelInvalid(f"{name} predicts a token from those that follow it: it is no left-to-right model")
        if not _close(one, self._in_pieces([start], others[:1], others[1:2])):
            raise ModelInvalid(f"{name} gives other scores in two passes than in one")
        if not _close(one, self._in_pieces([start], others[:2])):
            self.stepwise = True  # like Mamba, whose state takes one token at a time

    def _in_pieces(self, *pieces: list[int]) -> Tensor:
        lane = _Lane()
        return torch.cat([self._forward(lane, piece) for piece in pieces])

    def _lane_bytes(self) -> int:
        """Return the size of the library's cache for a full context, from its sizes for one and two tokens."""
        lane, sizes = _Lane(), []
        for _ in range(2):
            self._forward(lane, self._model_ids[-1:].tolist())
            sizes.append(sum(tensor.numel() * tensor.element_size() for tensor in _tensors(lane.cache)))
        return max(1, sizes[0] + (sizes[1] - sizes[0]) * (self.context - 1))


def _close(one: Tensor, other: Tensor) -> bool:
    return float((one.float() - other.float()).abs().max()) <= _CLOSE * float(one.float().abs().max() + 1)


def _tensors(kept: Any) -> Iterator[Tensor]:
    """Yield the tensors of the library's cache."""
    if isinstance(kept, Tensor):
        yield kept
    elif isinstance(kept, list | tuple):
        for member in kept:
            yield from _tensors(member)
    elif isinstance(kept, dict):
        yield from _tensors(list(kept.values()))
    elif hasattr(kept, "layers"):
        yield from _tensors([vars(layer) for layer in kept.layers])


def _start_id(loaded: Loaded) -> int:
    """Return the id that starts a text: the model's start token, else its end token, else id 0."""
    config = loaded.network.config.get_text_config()
    for name in ("bos_token_id", "eos_token_id"):
        found = getattr(config, name, None)
        found = found[0] if isinstance(found, list) and found else found
        if isinstance(found, int) and 0 <= found < loaded.rows:
            return found
    return 0
