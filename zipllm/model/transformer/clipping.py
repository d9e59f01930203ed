"""Begins the last phase of training, in which the model computes with the rounding of its integer form."""

from torch import Tensor

from zipllm.model.rounding import LEVELS
from zipllm.model.transformer.calibrate import Observations, observe
from zipllm.model.transformer.float_form import Block, Transformer
from zipllm.model.transformer.scales import best_clip

_SMALLEST_CLIP = 1e-3


def start_rounding(model: Transformer, tokens: Tensor) -> None:
    """Choose where the inputs of every matrix are clipped, as export does, and switch the rounding on.

    Args:
        model: in training; changed in place.
        tokens: ids ``[sequences, time]`` of training data.
    """
    seen = observe(model, tokens)
    for layer, block in enumerate(model.blocks):
        assert isinstance(block, Block)
        attention, feedforward = block.attention, block.feedforward
        entry = _clip(seen, "attention_input", layer)
        for matrix in (attention.query, attention.key, attention.value):
            matrix.input_clip.fill_(entry.item())
        mixed = _clip(seen, "mixed", layer).repeat_interleave(model.config.head_size)
        attention.output.input_clip.copy_(mixed)
        feedforward.up.input_clip.fill_(_clip(seen, "feedforward_input", layer).item())
        feedforward.down.input_clip.fill_(_clip(seen, "squared", layer).item())
    model.final_clip.fill_(_clip(seen, "final", 0).item())
    model.set_rounding(True)


def _clip(seen: Observations, name: str, layer: int) -> Tensor:
    """Clipping point of least error per group, float64 ``[groups]``."""
    return best_clip(seen.samples[name, layer], LEVELS).clamp(min=_SMALLEST_CLIP)
