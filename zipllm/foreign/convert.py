"""From an open checkpoint to a model: load, quantize, measure both forms on the bundled samples, write the card."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from zipllm.data.registry import samples_folder
from zipllm.foreign.checkpoint import Checkpoint
from zipllm.model.architecture import architecture_of
from zipllm.model.gap import Gap, float_bits, integer_bits
from zipllm.model.llama.float_form import Block, Llama, Norm
from zipllm.model_file.card import UNKNOWN_DATA, Card, DataSource, DomainResult
from zipllm.model_file.file import Model, build_model
from zipllm.predictor.model import ModelPredictor

SAMPLES = {
    "English": "english.txt",
    "Chinese": "chinese.txt",
    "code": "code.txt",
    "JSON": "data.json",
    "log": "server.log",
}
"""Bundled files by the name of their kind. Their second halves calibrate, their first halves measure."""
MOST_TOKENS = 512
"""Of each sample: a part of the window, so that calibration sees a file's beginning and its middle."""

_LIMITS = (
    "What it was trained on is not recorded here: it may have learned any public text by heart, benchmarks included.",
)

Advance = Callable[[float], None]


@dataclass(frozen=True)
class Converted:
    """The model, and the cost of the samples in both forms."""

    model: Model
    gap: Gap


def convert(checkpoint: Checkpoint, name: str | None = None, advance: Advance = lambda fraction: None) -> Converted:
    """Turn a checkpoint into an exact model.

    Args:
        checkpoint: read by `zipllm.foreign.source`.
        name: for the card; by default the checkpoint's.
        advance: called with the fraction that is done.

    Raises:
        ModelInvalid: a tensor is damaged, or the weights have no integer form.
        MemoryError: the float form does not fit into memory, at four bytes a parameter.
        ValueError: the name is no valid one.
    """
    network = float_network(checkpoint)
    advance(0.1)
    measured, calibration = _sample_tokens(checkpoint)
    _choose_start(network, checkpoint, calibration[:1])
    advance(0.2)
    integer = architecture_of(network.config).quantize(network, calibration)
    advance(0.6)
    card = _card(checkpoint, name)
    model = build_model(network.config, checkpoint.tokenizer, integer, card)
    advance(0.7)
    predictor = ModelPredictor(model)
    results, total = [], Gap(0.0, 0.0)
    for kind, tokens in measured.items():
        gap = Gap(float_bits(network, tokens), integer_bits(predictor, tokens, model.config.start_token))
        size = len(checkpoint.tokenizer.decode(tokens[0].tolist()))
        results.append(DomainResult(kind, size, gap.float_bits / size, gap.integer_bits / size))
        total = Gap(total.float_bits + gap.float_bits, total.integer_bits + gap.integer_bits)
        advance(0.7 + 0.3 * len(results) / len(measured))
    return Converted(replace(model, card=replace(card, results=tuple(results))), total)


@torch.no_grad()
def float_network(checkpoint: Checkpoint) -> Llama:
    """Load a checkpoint's weights; rows of the embedding are in the order of the sorted vocabulary."""
    with torch.device("meta"):
        network = Llama(checkpoint.config)
    network = network.to_empty(device="cpu").eval()
    rows = torch.from_numpy(checkpoint.rows)
    embedding = torch.from_numpy(checkpoint.tensor("embedding"))
    network.embedding.weight[:-1].copy_(embedding[rows])
    network.embedding.weight[-1].copy_(embedding[checkpoint.starts[0]])
    if network.head is not None:
        network.head.weight.copy_(torch.from_numpy(checkpoint.tensor("head"))[rows])
    network.norm.gain.copy_(torch.from_numpy(checkpoint.tensor("final_norm")))
    network.frequencies.copy_(torch.from_numpy(checkpoint.frequencies))
    network.final_clip.zero_()
    for module in network.modules():
        if isinstance(module, Norm):
            module.epsilon.fill_(checkpoint.epsilon)
    for layer, block in enumerate(network.layers):
        for name, parameter in _parameters(block).items():
            parameter.copy_(torch.from_numpy(checkpoint.tensor(f"{layer}.{name}")))
    return network


def _parameters(block: Block) -> Mapping[str, Tensor]:
    """Return a block's parameters under the names of a checkpoint."""
    attention, feedforward = block.attention, block.feedforward
    modules: dict[str, nn.Module] = {"attention_norm": block.attention_norm, "feedforward_norm": block.feedforward_norm}
    modules |= dict(attention.named_children()) | dict(feedforward.named_children())
    found: dict[str, Tensor] = {}
    for name, module in modules.items():
        for kind, parameter in module.named_parameters():
            found[f"{name}_bias" if kind == "bias" else name] = parameter
    return found


def _sample_tokens(checkpoint: Checkpoint) -> tuple[dict[str, Tensor], Tensor]:
    """Return tokens ``[1, n]`` of each kind for measuring, and ``[sequences, time]`` of all for calibration."""
    measured, rest = {}, []
    for kind, file in SAMPLES.items():
        data = (samples_folder() / file).read_bytes()
        first, second = (checkpoint.tokenizer.encode(part) for part in (data[: len(data) // 2], data[len(data) // 2 :]))
        measured[kind] = torch.from_numpy(first[:MOST_TOKENS].astype(np.int64))[None]
        rest.append(second)
    tokens = torch.from_numpy(np.concatenate(rest).astype(np.int64))
    time = min(MOST_TOKENS, len(tokens))
    return measured, tokens[: len(tokens) // time * time].view(-1, time)


@torch.no_grad()
def _choose_start(network: Llama, checkpoint: Checkpoint, tokens: Tensor) -> None:
    """Begin streams with the row that costs the samples least: files of one kind have more than one such token."""
    if len(checkpoint.starts) == 1:
        return
    embedding = torch.from_numpy(checkpoint.tensor("embedding"))
    costs = {}
    for start in checkpoint.starts:
        network.embedding.weight[-1].copy_(embedding[start])
        costs[start] = float_bits(network, tokens)
    network.embedding.weight[-1].copy_(embedding[min(costs, key=costs.__getitem__)])


def _card(checkpoint: Checkpoint, name: str | None) -> Card:
    return Card(
        name=name or checkpoint.name,
        summary=f"Imported by zipllm: {checkpoint.origin}.",
        licence=checkpoint.licence,
        sources=(DataSource(UNKNOWN_DATA, "not recorded", note=checkpoint.origin),),
        limits=_LIMITS,
    )
