"""Proof that no number in an integer Transformer can overflow, whatever it is fed.

A model file may be hostile, so `check_bounds` runs at export and at every load. It bounds each stage of `integer` by
its tensors alone. Kernels may rely on:

- int8 weights lie in [-127, 127]; multipliers, norm constants and table entries are not negative;
- every int8 product sum is below ``2**31``, and below ``2**30`` after requantization;
- ``dot * score_multiplier`` plus its rounding is below ``2**31``; scores are below ``2**28``;
- ``sum(weight) * 127`` over a full window is below ``2**31``;
- norm and mixing products stay below ``2**62``, sums of squares below ``2**53``.
"""

import math

import numpy as np
from numpy.typing import NDArray

from zipllm.errors import ModelInvalid
from zipllm.model.parameters import IntegerArray
from zipllm.model.ranges import INT8_MAX, INT16_MAX, NORM_SHIFT, TOTAL
from zipllm.model.transformer.config import LINEAR_LAYERS
from zipllm.model.transformer.parameters import TransformerParameters

MAX_TABLE = 1 << 16
MAX_ACCUMULATOR = 1 << 31
MAX_REQUANTIZED = 1 << 30
MAX_NORM = 1 << 62
MAX_MIXING = 1 << 55
MAX_BIAS = 1 << 20
SHIFTS = (1, 62)
SCORE_SHIFTS = (4, 30)
"""At least 4: scores then stay below ``2**28`` and their differences in int32."""


def check_bounds(model: TransformerParameters) -> None:
    """Refuse a model with a computation that may not fit, with a ``ModelInvalid`` that names tensor or config field."""
    try:
        model.config.check_exportable()
    except ValueError as error:
        raise ModelInvalid(f"config: {error}") from error
    model = TransformerParameters.from_arrays(model.config, model.values)  # names, types, shapes
    for name, array in model.values.items():
        _require(array.size > 0, name, "empty")
        if array.dtype == np.int8:
            _require(int(array.min()) >= -INT8_MAX, name, "weight below -127")
        elif name != "position_bias":
            _require(int(array.min()) >= 0, name, "negative value")
        if name.endswith("_shift") and name != "score_shift":
            _check_range(array, name, *SHIFTS)
    _check_embedding(model)
    for name in LINEAR_LAYERS:
        for layer in range(model.config.layers):
            shift = int(model[f"{name}_shift"][layer])
            _check_linear(model[name][layer], model[f"{name}_multiplier"][layer], shift, name)
    _check_linear(model.head, model["head_multiplier"], int(model["head_shift"][0]), "head")
    _check_attention(model)
    _check_frequencies(model["frequency_exponential"])


def score_limit(query_norm: int, key_norm: int, head_size: int) -> int:
    """Bound ``abs(query . key)`` of normalized heads, by Cauchy-Schwarz or by saturation.

    Rounding the entries of a head of length ``norm / 2**NORM_SHIFT`` adds at most ``sqrt(head_size) / 2`` to it.
    """
    slack = math.isqrt(head_size) // 2 + 2
    lengths = [(norm >> NORM_SHIFT) + slack for norm in (query_norm, key_norm)]
    return min(lengths[0] * lengths[1], head_size * INT8_MAX**2)


def _check_embedding(model: TransformerParameters) -> None:
    largest = np.abs(model["embedding"]).max(-1).astype(np.int64) * model["embedding_multiplier"]
    _check_requantized(int(largest.max()), int(model["embedding_shift"][0]), "embedding_multiplier")


def _check_linear(weight: IntegerArray, multiplier: IntegerArray, shift: int, name: str) -> None:
    sums: NDArray[np.int64] = np.abs(weight).sum(-1, dtype=np.int64) * INT8_MAX
    _require(int(sums.max()) < MAX_ACCUMULATOR, name, "product sum can pass 2**31")
    _check_requantized(int((sums * multiplier).max()), shift, f"{name}_multiplier")


def _check_requantized(largest: int, shift: int, name: str) -> None:
    result = (largest + (1 << (shift - 1))) >> shift
    _require(result < MAX_REQUANTIZED, name, "result can pass 2**30; shift too small or multiplier too large")


def _check_attention(model: TransformerParameters) -> None:
    config = model.config
    for name in ("attention_norm", "feedforward_norm", "final_norm", "query_norm", "key_norm"):
        _require(int(model[name].max()) < MAX_NORM, name, "not below 2**62")
    _require(int(model["mixing_scale"].max()) < MAX_MIXING, "mixing_scale", "not below 2**55")
    _check_range(model["position_bias"], "position_bias", -MAX_BIAS, MAX_BIAS)
    _check_range(model["score_shift"], "score_shift", *SCORE_SHIFTS)
    for layer in range(config.layers):
        for head in range(config.heads):
            names = ("query_norm", "key_norm", "score_multiplier", "score_shift")
            query, key, multiplier, shift = (int(model[name][layer, head]) for name in names)
            largest = score_limit(query, key, config.head_size) * multiplier + (1 << (shift - 1))
            _require(largest < MAX_ACCUMULATOR, "score_multiplier", f"scores of layer {layer} can pass 2**31")
    table = model["attention_exponential"]
    _check_table(table, "attention_exponential")
    first = int(table[0])
    _require(1 <= first <= INT16_MAX, "attention_exponential", f"first entry not from 1 to {INT16_MAX}")
    fits = first * config.window * INT8_MAX < MAX_ACCUMULATOR
    _require(fits, "attention_exponential", "weighted sum over the window can pass 2**31")


def _check_frequencies(table: IntegerArray) -> None:
    _check_table(table, "frequency_exponential")
    _require(int(table[0]) == TOTAL, "frequency_exponential", f"first entry is not {TOTAL}")


def _check_table(table: IntegerArray, name: str) -> None:
    _require(2 <= table.size <= MAX_TABLE, name, f"length not from 2 to {MAX_TABLE}")
    _require(bool((table[1:] <= table[:-1]).all()), name, "not monotone")
    _require(int(table[-1]) == 0, name, "last entry is not 0")


def _check_range(array: IntegerArray, name: str, low: int, high: int) -> None:
    _require(low <= int(array.min()) and int(array.max()) <= high, name, f"not from {low} to {high}")


def _require(holds: bool, name: str, reason: str) -> None:
    if not holds:
        raise ModelInvalid(f"model {name}: {reason}")
