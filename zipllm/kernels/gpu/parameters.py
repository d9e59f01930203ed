"""A model's tensors on a GPU, in the form its kernels take."""

import torch
from torch import Tensor

from zipllm.model.transformer.config import LINEAR_LAYERS
from zipllm.model.transformer.parameters import TransformerParameters

HEADS = ("query", "key", "value")
"""Matrices joined into one product."""
TWO_DIGITS = 1 << 14
"""Attention weights below this have two digits of 7 bits, others three."""


class Parameters:
    """A model's tensors on the device; those that one kernel takes are joined."""

    def __init__(self, model: TransformerParameters, device: torch.device) -> None:
        def put(tensor: Tensor) -> Tensor:
            return tensor.to(device).contiguous()

        tensors = model.tensors()
        norms = torch.stack((tensors["attention_norm"], tensors["feedforward_norm"]), dim=1).flatten()
        self.table, self.table_multiplier = put(tensors["embedding"]), put(tensors["embedding_multiplier"])
        self.table_shift = put(tensors["embedding_shift"])
        self.norms = put(torch.cat((norms, tensors["final_norm"])))
        self.head_norms = put(torch.stack((tensors["query_norm"], tensors["key_norm"]), dim=1))
        self.attention = put(torch.cat([tensors[name] for name in HEADS], dim=1))
        self.attention_multiplier = put(torch.stack([tensors[f"{name}_multiplier"] for name in HEADS], dim=1))
        self.attention_shift = put(torch.stack([tensors[f"{name}_shift"] for name in HEADS], dim=1))
        self.linear = {name: put(tensors[name]) for name in LINEAR_LAYERS if name not in HEADS}
        self.multiplier = {name: put(tensors[f"{name}_multiplier"]) for name in self.linear}
        self.shift = {name: put(tensors[f"{name}_shift"]) for name in self.linear}
        self.scores = [put(tensors[name]) for name in ("score_multiplier", "score_shift", "position_bias")]
        self.exponential, self.mixing_scale = put(tensors["attention_exponential"]), put(tensors["mixing_scale"])
        self.head = put(torch.from_numpy(model.head))
        self.head_multiplier, self.head_shift = put(tensors["head_multiplier"]), put(tensors["head_shift"])
        self.frequency_exponential = put(tensors["frequency_exponential"])
        self.digits = 2 if int(tensors["attention_exponential"][0]) < TWO_DIGITS else 3
