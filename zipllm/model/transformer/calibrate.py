"""Records the activations of a float Transformer on real sequences, to choose integer scales and clipping points."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from zipllm.model.ranges import INT8_MAX
from zipllm.model.transformer.config import TransformerConfig
from zipllm.model.transformer.float_form import Attention, FeedForward, Transformer, rms_normalize
from zipllm.model.transformer.scales import best_clip

BATCH_TOKENS = 4_096
SAMPLES_PER_BATCH = 1 << 13
"""Values kept per site, group and batch."""
_SMALLEST_CLIP = 1e-3


@dataclass
class Observations:
    """Activations by site, which is a name and a layer; a group is a whole tensor or a head.

    Attributes:
        samples: values float32 ``[groups, n]``.
        largest: largest magnitude per group, float64 ``[groups]``.
        power: mean square of every input of a matrix, float64 ``[inputs]``.
    """

    samples: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    largest: dict[tuple[str, int], Tensor] = field(default_factory=dict)
    power: dict[tuple[str, int], Tensor] = field(default_factory=dict)


class _Recorder:
    """Collects what hooks report while batches run."""

    def __init__(self, config: TransformerConfig, seed: int) -> None:
        self.heads = config.heads
        self._generator = torch.Generator().manual_seed(seed)
        self._samples: dict[tuple[str, int], list[Tensor]] = defaultdict(list)
        self._largest: dict[tuple[str, int], list[Tensor]] = defaultdict(list)
        self._power: dict[tuple[str, int], list[Tensor]] = defaultdict(list)

    def keep(self, name: str, layer: int, values: Tensor, groups: int = 1) -> None:
        """Sample ``[..., n]`` split into groups along its last dimension."""
        flat = values.detach().float().cpu().reshape(-1, groups, values.shape[-1] // groups)
        flat = flat.transpose(0, 1).reshape(groups, -1)
        pick = torch.randint(flat.shape[1], (min(flat.shape[1], SAMPLES_PER_BATCH),), generator=self._generator)
        self._samples[name, layer].append(flat[:, pick])
        self._largest[name, layer].append(flat.abs().amax(1).double())

    def keep_power(self, name: str, layer: int, values: Tensor) -> None:
        rows = values.detach().double().cpu().reshape(-1, values.shape[-1])
        self._power[name, layer].append(rows.square().mean(0))

    def result(self) -> Observations:
        return Observations(
            {site: torch.cat(parts, dim=1) for site, parts in self._samples.items()},
            {site: torch.stack(parts).amax(0) for site, parts in self._largest.items()},
            {site: torch.stack(parts).mean(0) for site, parts in self._power.items()},
        )


@torch.no_grad()
def observe(transformer: Transformer, tokens: Tensor, seed: int = 0) -> Observations:
    """Run ids ``[sequences, time]``, each behind a start token, and sample every activation that gets a scale."""
    recorder = _Recorder(transformer.config, seed)
    handles = _attach(transformer, recorder)
    device = transformer.embedding.weight.device
    try:
        for batch in torch.split(tokens, max(1, BATCH_TOKENS // tokens.shape[1])):
            start = torch.full((len(batch), 1), transformer.config.start_token, dtype=torch.long)
            inputs = torch.cat((start, batch[:, :-1].long().cpu()), dim=1).to(device)
            final = transformer.hidden(inputs)
            recorder.keep("final", 0, final)
            recorder.keep_power("final", 0, final)
    finally:
        for handle in handles:
            handle.remove()
    return recorder.result()


def _attach(transformer: Transformer, recorder: _Recorder) -> list[Any]:
    handles: list[Any] = []

    def before(module: nn.Module, hook: Callable[[Tensor], None]) -> None:
        handles.append(module.register_forward_pre_hook(lambda _, inputs: hook(inputs[0])))

    def after(module: nn.Module, hook: Callable[[Tensor], None]) -> None:
        handles.append(module.register_forward_hook(lambda _, inputs, output: hook(output)))

    for layer, block in enumerate(transformer.layers):
        before(block, partial(recorder.keep, "residual", layer))
        after(block, partial(recorder.keep, "residual", layer))
        _attach_attention(block.attention, layer, recorder, before, after)
        _attach_feedforward(block.feedforward, layer, recorder, before)
    return handles


Attach = Callable[[nn.Module, Callable[[Tensor], None]], None]


def _attach_attention(attention: Attention, layer: int, recorder: _Recorder, before: Attach, after: Attach) -> None:
    heads = recorder.heads

    def unit(name: str, values: Tensor) -> None:
        recorder.keep(f"{name}_raw", layer, values, heads)
        split = rms_normalize(values.view(*values.shape[:-1], heads, -1))
        recorder.keep(name, layer, split.flatten(-2), heads)

    before(attention.query, partial(recorder.keep, "attention_input", layer))
    before(attention.query, partial(recorder.keep_power, "attention_input", layer))
    after(attention.query, partial(unit, "query"))
    after(attention.key, partial(unit, "key"))
    after(attention.value, partial(recorder.keep, "value", layer, groups=heads))
    before(attention.output, partial(recorder.keep, "mixed", layer, groups=heads))
    before(attention.output, partial(recorder.keep_power, "mixed", layer))


def _attach_feedforward(feedforward: FeedForward, layer: int, recorder: _Recorder, before: Attach) -> None:
    before(feedforward.up, partial(recorder.keep, "feedforward_input", layer))
    before(feedforward.up, partial(recorder.keep_power, "feedforward_input", layer))
    before(feedforward.down, partial(recorder.keep, "squared", layer))
    before(feedforward.down, partial(recorder.keep_power, "squared", layer))


def start_rounding(model: Transformer, tokens: Tensor) -> None:
    """Begin the last phase of training, with the rounding of the integer form; see `Architecture.start_rounding`."""
    seen = observe(model, tokens)
    for layer, block in enumerate(model.layers):
        attention, feedforward = block.attention, block.feedforward
        for matrix in (attention.query, attention.key, attention.value):
            matrix.input_clip.fill_(_clip(seen, "attention_input", layer).item())
        mixed = _clip(seen, "mixed", layer).repeat_interleave(model.config.head_size)
        attention.output.input_clip.copy_(mixed)
        feedforward.up.input_clip.fill_(_clip(seen, "feedforward_input", layer).item())
        feedforward.down.input_clip.fill_(_clip(seen, "squared", layer).item())
    model.final_clip.fill_(_clip(seen, "final", 0).item())
    model.set_rounding(True)


def _clip(seen: Observations, name: str, layer: int) -> Tensor:
    """Clipping point of least error per group, float64 ``[groups]``."""
    return best_clip(seen.samples[name, layer], INT8_MAX).clamp(min=_SMALLEST_CLIP)
