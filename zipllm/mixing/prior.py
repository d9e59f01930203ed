"""What the adaptive predictor knows before it has seen anything of a file.

Learned by running the encoder over texts that no model was trained on (``benchmarks/train_prior.py``), and shipped
with the package. A mixer version names its content: another prior is another mixer version, because every coded
bit depends on it.
"""

from functools import lru_cache
from importlib import resources
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

FILES = {1: "prior.safetensors", 2: "prior_full.safetensors"}
"""Of each version of the mixer, beside this module."""
WEIGHT_SHIFT = 4
"""Fraction bits that stored weights lack against those in memory, so that they fit 16 bits."""
CONFIDENCE = 60
"""Largest number of observations that a probability from the prior counts for."""

_MAPS, _WEIGHTS = ("maps", "stop_maps", "match_maps"), ("weights", "final_weights")


class Prior(NamedTuple):
    """The learned part of a memory; shapes as in ``memory.Memory``."""

    maps: NDArray[np.uint32]
    stop_maps: NDArray[np.uint32]
    match_maps: NDArray[np.uint32]
    weights: NDArray[np.int32]
    final_weights: NDArray[np.int32]


@lru_cache(maxsize=4)
def load_prior(mixer: int, kind: str) -> Prior:
    """Return the shipped prior of a mixer for one kind of use: ``model`` or ``text`` (without one)."""
    arrays = _read(FILES[mixer])
    maps, stop_maps, match_maps = (_unpack_map(arrays[f"{kind}.{field}"]) for field in _MAPS)
    weights, final_weights = (arrays[f"{kind}.{field}"].astype(np.int32) << WEIGHT_SHIFT for field in _WEIGHTS)
    return Prior(maps, stop_maps, match_maps, weights, final_weights.reshape(-1, *final_weights.shape[-2:]))


def pack_prior(name: str, prior: Prior) -> dict[str, NDArray[Any]]:
    """Return a prior as named arrays for the file: 16 bits a number, counts of maps in 6 bits of their own."""
    packed: dict[str, NDArray[Any]] = {}
    for field in _MAPS:
        values = getattr(prior, field)
        packed[f"{name}.{field}"] = np.stack(
            (
                (values >> np.uint32(16)).astype(np.uint16),
                np.minimum(values & np.uint32(1023), CONFIDENCE).astype(np.uint16),
            )
        )
    for field in _WEIGHTS:
        rounded = (getattr(prior, field).astype(np.int64) + (1 << (WEIGHT_SHIFT - 1))) >> WEIGHT_SHIFT
        packed[f"{name}.{field}"] = np.clip(rounded, -32768, 32767).astype(np.int16)
    return packed


def _unpack_map(packed: NDArray[np.uint16]) -> NDArray[np.uint32]:
    probability, count = packed.astype(np.uint32)
    unpacked: NDArray[np.uint32] = (probability << np.uint32(16)) | np.uint32(1 << 15) | count
    return unpacked


@lru_cache(maxsize=2)
def _read(file: str) -> dict[str, NDArray[Any]]:
    from safetensors.numpy import load

    arrays: dict[str, NDArray[Any]] = load(resources.files("zipllm.mixing").joinpath(file).read_bytes())
    return arrays
