"""Folders with tiny random models, as the Hugging Face library saves them; nothing is fetched."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer
from transformers import (
    BertConfig,
    BertForMaskedLM,
    BertTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)
from transformers.utils.logging import disable_progress_bar

from tests.huggingface.learned_tokenizers import END, byte_fallback, byte_level

CONTEXT = 32
WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] to be or not that is the question , : nob ##ler in mind ##s"


def save_gpt2(folder: Path, *, context: int = CONTEXT, tokenizer: Tokenizer | None = None, rows: int = 420) -> Path:
    """Byte-level BPE, as GPT-2 has it; some of the ids that the model predicts have no token."""
    tokenizer = tokenizer or byte_level()
    config = GPT2Config(
        vocab_size=rows, n_positions=context, n_embd=32, n_layer=2, n_head=2, bos_token_id=0, eos_token_id=0
    )
    return _save(folder, _random(GPT2LMHeadModel, config), tokenizer, bos_token=END, eos_token=END)


def save_llama(folder: Path) -> Path:
    """Byte fallback and a blank in front, as Llama has it; grouped queries."""
    config = LlamaConfig(
        vocab_size=400, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2,
    )  # fmt: skip
    return _save(folder, _random(LlamaForCausalLM, config), byte_fallback(), bos_token="<s>", unk_token="<unk>")


def save_other(folder: Path, name: str) -> Path:
    """A model of another kind: with a window of its own, without positions, without keys and values."""
    shape = {"vocab_size": 400, "hidden_size": 32, "bos_token_id": 0, "eos_token_id": 0, "pad_token_id": 0}
    more: dict[str, dict[str, Any]] = {
        "Mistral": {
            "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2,
            "max_position_embeddings": 64, "sliding_window": 16,
        },
        "Bloom": {"n_layer": 2, "n_head": 4},
        "Mamba": {"state_size": 4, "num_hidden_layers": 2},
    }  # fmt: skip
    config = getattr(transformers, f"{name}Config")(**shape, **more[name])
    return _save(folder, _random(getattr(transformers, f"{name}ForCausalLM"), config), byte_level(), bos_token=END)


def save_bert(folder: Path, model: type[PreTrainedModel] = BertForMaskedLM, **settings: Any) -> Path:
    """A masked model with words of lower case."""
    words = WORDS.split()
    shape = {"hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = BertConfig(**{"vocab_size": len(words), "max_position_embeddings": 16, **shape, **settings})
    _quietly(_random(model, config), folder)
    BertTokenizer(vocab={word: index for index, word in enumerate(words)}).save_pretrained(folder)
    return folder


def change_config(folder: Path, **members: Any) -> None:
    """Write other members into ``config.json``; None takes one away."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | members
    path.write_text(json.dumps({name: value for name, value in config.items() if value is not None}))


def remove(folder: Path, names: Iterable[str]) -> Path:
    for name in names:
        (folder / name).unlink()
    return folder


def _random(model: type[PreTrainedModel], config: Any) -> PreTrainedModel:
    """Weights large enough that predictions differ clearly from each other."""
    torch.manual_seed(0)
    network = model(config)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.mul_(8)
    return network


def _save(folder: Path, network: PreTrainedModel, tokenizer: Tokenizer, **special: str) -> Path:
    _quietly(network, folder)
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **special)  # type: ignore[no-untyped-call]
    wrapped.save_pretrained(folder)
    return folder


def _quietly(network: PreTrainedModel, folder: Path) -> None:
    disable_progress_bar()  # type: ignore[no-untyped-call]
    network.save_pretrained(folder)
