"""The pseudo-likelihood of a text under a masked model, and its cost if that model coded from left to right.

Pseudo-log-likelihood (Salazar et al., "Masked Language Model Scoring", ACL 2020, section 2.1): mask each token in turn,
predict it from all others, before and after it, and add up the costs. That sum is no code length: a decoder does not
know the tokens behind the mask yet. The chain rule allows only those before it, so the second figure hides everything
behind the mask. It is the cost of a code for these tokens, and a high one, since the model was never trained without
the right side.

Neither figure counts bytes: the tokens of such models lose spaces, accents or case, and one token stands for all
unknown text.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zipllm.errors import ModelInvalid
from zipllm.huggingface.folder import Loaded, ask

_SCORE_BYTES = 256 << 20
"""Limit on the scores computed at once."""

_ENDS = 2
"""Tokens around a text: one in front, one behind."""


@dataclass(frozen=True)
class PseudoLikelihood:
    """Costs of a text.

    Attributes:
        raw_bytes: of the text.
        tokens: that were masked in turn.
        unknown: of these, how many stand for text that the model has no token for.
        windows: into which the tokens were cut; a token sees only its window.
        pseudo_bits: each token predicted from both sides.
        forward_bits: each token predicted from those before it in its window.
    """

    raw_bytes: int
    tokens: int
    unknown: int
    windows: int
    pseudo_bits: float
    forward_bits: float


def pseudo_likelihood(loaded: Loaded, data: bytes, advance: Callable[[float], None] | None = None) -> PseudoLikelihood:
    """Mask every token of a text in turn.

    Args:
        loaded: a masked model.
        data: the text; invalid UTF-8 is replaced.
        advance: receives the fraction done.

    Raises:
        ModelInvalid: its tokenizer has no mask, or its numbers are not finite.
    """
    tokenizer = loaded.tokenizer
    if tokenizer.mask_token_id is None:
        raise ModelInvalid(f"the tokenizer of {str(loaded.folder.path)!r} has no mask")
    ids = tokenizer(data.decode("utf-8", "replace"), add_special_tokens=False)["input_ids"]
    length = max(1, min(loaded.context - _ENDS, int(tokenizer.model_max_length)) - _ENDS)
    windows = [ids[begin : begin + length] for begin in range(0, len(ids), length)]
    pseudo, forward = [], []
    done = 0
    for window in windows:
        for both, before in _window_bits(loaded, window):
            pseudo += both
            forward += before
            done += len(both)
            if advance is not None:
                advance(done / len(ids))
    unknown = 0 if tokenizer.unk_token_id is None else ids.count(tokenizer.unk_token_id)
    return PseudoLikelihood(len(data), len(ids), unknown, len(windows), math.fsum(pseudo), math.fsum(forward))


def _window_bits(loaded: Loaded, window: Sequence[int]) -> Iterator[tuple[list[float], list[float]]]:
    """Yield the bits of batches of tokens: predicted from both sides, and from the left side only."""
    front = [id_ for id_ in (loaded.tokenizer.cls_token_id,) if id_ is not None]
    behind = [id_ for id_ in (loaded.tokenizer.sep_token_id,) if id_ is not None]
    mask = [loaded.tokenizer.mask_token_id]
    at_once = max(1, _SCORE_BYTES // (4 * loaded.rows * (len(window) + _ENDS)))
    for begin in range(0, len(window), at_once):
        places = range(begin, min(begin + at_once, len(window)))
        whole = [[*front, *window[:place], *mask, *window[place + 1 :], *behind] for place in places]
        cut = [[*front, *window[:place], *mask, *behind] for place in places]
        masked = [len(front) + place for place in places]
        wanted = [window[place] for place in places]
        yield _bits(loaded, whole, masked, wanted), _bits(loaded, cut, masked, wanted)


@torch.inference_mode()
def _bits(loaded: Loaded, rows: list[list[int]], masked: list[int], wanted: list[int]) -> list[float]:
    """Return the cost of the true token at the mask of each row; padding is masked out."""
    longest = max(map(len, rows))
    fill = loaded.tokenizer.pad_token_id or 0
    ids = torch.tensor([row + [fill] * (longest - len(row)) for row in rows], device=loaded.device)
    seen = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows], device=loaded.device)
    scores: Tensor = ask(loaded, input_ids=ids, attention_mask=seen).logits
    here = scores[torch.arange(len(rows)), torch.tensor(masked)].double().cpu()
    if not torch.isfinite(here).all():
        raise ModelInvalid(f"{loaded.folder.architecture} computes numbers that are not finite")
    nats = -torch.log_softmax(here, -1)[torch.arange(len(rows)), torch.tensor(wanted)]
    return [float(cost) / math.log(2) for cost in nats]
