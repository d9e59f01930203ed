"""``model_id``: the SHA-256 that an archive stores to name the model it needs.

It covers everything that decides the coded bits and nothing else. The card is left out, so a card may be
corrected; so is the self-test, which follows from the rest. Hashed, in this order, each part with its
length in front (8 bytes, little-endian), so that no two contents share one byte string:

    "zipllm-model-0"                 changes when the same tensors come to mean other integers
    canonical JSON of the config
    canonical JSON of the tokenizer
    for every tensor, sorted by name: name, dtype, shape (canonical JSON), row-major little-endian bytes
"""

import hashlib
from collections.abc import Mapping

from zipllm.model.config import NetworkConfig
from zipllm.model.parameters import IntegerArray
from zipllm.model_file.canonical_json import dump_json
from zipllm.model_file.layout import dtype_name, little_endian

DOMAIN = b"zipllm-model-0"


def compute_model_id(config: NetworkConfig, tokenizer: bytes, tensors: Mapping[str, IntegerArray]) -> bytes:
    """Return the 32-byte id.

    Args:
        config: shape of the network.
        tokenizer: canonical JSON of the tokenizer's description.
        tensors: the integer model's tensors, in any order.
    """
    digest = hashlib.sha256()

    def part(data: bytes | memoryview) -> None:
        digest.update(len(data).to_bytes(8, "little"))
        digest.update(data)

    part(DOMAIN)
    part(dump_json(config.to_dict()))
    part(tokenizer)
    for name in sorted(tensors):
        array = tensors[name]
        part(name.encode("ascii"))
        part(dtype_name(array.dtype).encode("ascii"))
        part(dump_json(list(array.shape)))
        part(little_endian(array))
    return digest.digest()
