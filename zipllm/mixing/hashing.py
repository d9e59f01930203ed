"""The hash of contexts, of tables and of everything else that the history looks up."""

import numpy as np

from zipllm.jit.compiled import Integer, inlined, part

HASH = 0x2545F491
"""Spreads hashes of 32 bits; the product of two such numbers fits 63 bits, so nothing here overflows."""
_WORD = 0xFFFFFFFF


@part
def hash_pair(first: Integer, second: Integer) -> Integer:
    """Return a hash of two integers, of which the low 32 bits count: 0 to ``2**32 - 1``."""
    mixed = (np.int64(first) & _WORD) * 0x2C9277B5 + (np.int64(second) & _WORD) * 0x1E35A7BD
    return (mixed ^ (mixed >> 29)) & _WORD


@inlined
def hash_3(number: Integer, first: Integer, second: Integer) -> Integer:
    """Return a hash of three integers."""
    return hash_pair(hash_pair(number, first), second)


@inlined
def hash_4(number: Integer, first: Integer, second: Integer, third: Integer) -> Integer:
    """Return a hash of four integers."""
    return hash_pair(hash_pair(number, first), hash_pair(second, third))
