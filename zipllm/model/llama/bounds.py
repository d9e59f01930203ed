"""Proof that no number in an integer Llama can overflow, whatever it is fed.

A model file may be hostile, so `check_bounds` runs at import and at every load. Kernels may rely on:

- int8 weights lie in [-127, 127]; multipliers, norm constants, levels and table entries are not negative;
- every product sum of a matrix is below ``2**31``, and below ``2**30`` after the first requantization, so that its
  product with a scale, below ``2**31``, is below ``2**61``;
- gains are at most 1 in magnitude, so activations before rounding are below ``2**31``, and a scale is below ``2**31``;
- ``(dot >> dot_shift) * 4095`` and its product with ``score_multiplier`` are below ``2**31``, scores below ``2**28``;
- the weighted sum over window and kept tokens is below ``2**31``.
"""

import numpy as np

from zipllm.errors import ModelInvalid
from zipllm.model.llama.config import LINEAR_LAYERS
from zipllm.model.llama.parameters import (
    ATTENTION,
    FEEDFORWARD,
    GAIN_SHIFT,
    GATED,
    HEAD_SCALE_BITS,
    HEAD_SCALE_MAX,
    MIXED,
    PHASE_BITS,
    RESULT_MAX,
    ROTARY_SHIFT,
    SIGMOID_SHIFT,
    LlamaParameters,
)
from zipllm.model.parameters import IntegerArray
from zipllm.model.ranges import INT8_MAX, INT16_MAX, TOTAL, WIDE_MAX

MAX_TABLE = 1 << 16
MAX_SUM = 1 << 31
MAX_PRODUCT = 1 << 30
MAX_NORM = 1 << 62
MAX_EPSILON = 1 << 51
SHIFTS = (1, 62)
SCORE_SHIFTS = (4, 30)
SCORE_MULTIPLIERS = (0, 4_095)

ENTRY = {
    "query": ATTENTION,
    "key": ATTENTION,
    "value": ATTENTION,
    "output": MIXED,
    "gate": FEEDFORWARD,
    "up": FEEDFORWARD,
    "down": GATED,
}
"""The column of ``levels`` that bounds what enters each matrix."""


def dot_shift(head_size: int) -> int:
    """Return the shift after which a product of query and key, times the scale of a key, is below ``2**31``."""
    shift = 1
    while ((head_size * WIDE_MAX * INT8_MAX >> shift) + 1) * HEAD_SCALE_MAX >= MAX_SUM - (1 << HEAD_SCALE_BITS):
        shift += 1
    return shift


def check_bounds(model: LlamaParameters) -> None:
    """Refuse a model with a computation that may not fit, with a ``ModelInvalid`` that names tensor or config field."""
    try:
        model.config.check_exportable()
    except ValueError as error:
        raise ModelInvalid(f"config: {error}") from error
    model = LlamaParameters.from_arrays(model.config, model.values)  # names, types, shapes
    for name, array in model.values.items():
        _require(array.size > 0, name, "empty")
        if array.dtype == np.int8:
            _require(int(array.min()) >= -INT8_MAX, name, "weight below -127")
        elif name.endswith("_shift") and name not in ("score_shift", "dot_shift"):
            _check_range(array, name, *SHIFTS)
        elif name.endswith("_multiplier"):
            _require(int(array.min()) >= 0, name, "negative value")
        elif name.endswith("_bias"):
            _check_range(array, name, -RESULT_MAX, RESULT_MAX)
        elif name.endswith("_gain"):
            _check_range(array, name, -(1 << GAIN_SHIFT), 1 << GAIN_SHIFT)
        elif name.endswith("_norm"):
            _check_range(array, name, 0, MAX_NORM - 1)
    _check_embedding(model)
    _check_linears(model)
    _check_attention(model)
    _check_tables(model)


def _check_embedding(model: LlamaParameters) -> None:
    largest = np.abs(model["embedding"]).max(-1).astype(np.int64) * model["embedding_multiplier"]
    shift = int(model["embedding_shift"][0])
    _require(_rounded(int(largest.max()), shift) < MAX_PRODUCT, "embedding_multiplier", "result can pass 2**30")
    _check_range(model["epsilon"], "epsilon", 0, MAX_EPSILON)


def _check_linears(model: LlamaParameters) -> None:
    _check_range(model["levels"], "levels", 1, WIDE_MAX)
    _check_range(model["final_levels"], "final_levels", 1, WIDE_MAX)
    for name in LINEAR_LAYERS:
        for layer in range(model.config.layers):
            levels = int(model["levels"][layer, ENTRY[name]])
            shift = int(model[f"{name}_shift"][layer])
            _check_linear(model[name][layer], model[f"{name}_multiplier"][layer], shift, levels, name)
    shift, levels = int(model["head_shift"][0]), int(model["final_levels"][0])
    _check_linear(model.head, model["head_multiplier"], shift, levels, "head")


def _check_linear(weight: IntegerArray, multiplier: IntegerArray, shift: int, levels: int, name: str) -> None:
    sums = np.abs(weight).sum(-1, dtype=np.int64) * levels
    _require(int(sums.max()) < MAX_SUM, name, "product sum can pass 2**31")
    largest = int((sums * multiplier).max())
    _require(_rounded(largest, shift) < MAX_PRODUCT, f"{name}_multiplier", "result can pass 2**30")


def _check_attention(model: LlamaParameters) -> None:
    config = model.config
    _check_range(model["rotary_step"], "rotary_step", 0, (1 << PHASE_BITS) - 1)
    _check_range(model["dot_shift"], "dot_shift", dot_shift(config.head_size), 30)
    _check_range(model["score_shift"], "score_shift", *SCORE_SHIFTS)
    _check_range(model["score_multiplier"], "score_multiplier", *SCORE_MULTIPLIERS)
    cosine = model["cosine"]
    _require(cosine.size >= 4 and not cosine.size & (cosine.size - 1), "cosine", "length is not a power of two")
    _require(cosine.size <= MAX_TABLE, "cosine", f"more than {MAX_TABLE} entries")
    _check_range(cosine, "cosine", -(1 << ROTARY_SHIFT), 1 << ROTARY_SHIFT)
    _check_falling(model["attention_exponential"], "attention_exponential")
    first = int(model["attention_exponential"][0])
    _require(1 <= first <= INT16_MAX >> 1, "attention_exponential", f"first entry not from 1 to {INT16_MAX >> 1}")
    fits = first * (config.window + config.kept) * INT8_MAX < MAX_SUM
    _require(fits, "attention_exponential", "weighted sum over the window can pass 2**31")


def _check_tables(model: LlamaParameters) -> None:
    _check_falling(model["frequency_exponential"], "frequency_exponential")
    _require(int(model["frequency_exponential"][0]) == TOTAL, "frequency_exponential", f"first entry is not {TOTAL}")
    sigmoid = model["sigmoid"]
    _require(1 <= sigmoid.size <= MAX_TABLE, "sigmoid", f"length not from 1 to {MAX_TABLE}")
    _check_range(sigmoid, "sigmoid", 0, 1 << SIGMOID_SHIFT)


def _check_falling(table: IntegerArray, name: str) -> None:
    _require(2 <= table.size <= MAX_TABLE, name, f"length not from 2 to {MAX_TABLE}")
    _require(bool((table[1:] <= table[:-1]).all()), name, "not monotone")
    _require(int(table[-1]) == 0, name, "last entry is not 0")


def _rounded(largest: int, shift: int) -> int:
    return (largest + (1 << (shift - 1))) >> shift


def _check_range(array: IntegerArray, name: str, low: int, high: int) -> None:
    _require(low <= int(array.min()) and int(array.max()) <= high, name, f"not from {low} to {high}")


def _require(holds: bool, name: str, reason: str) -> None:
    if not holds:
        raise ModelInvalid(f"model {name}: {reason}")
