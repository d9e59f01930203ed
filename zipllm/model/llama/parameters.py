"""The integer form of a Llama, and the bounds and fraction bits of its arithmetic."""

from dataclasses import dataclass

from zipllm.model.llama.config import LlamaConfig
from zipllm.model.parameters import IntegerArray, IntegerParameters

RESULT_MAX = (1 << 30) - 1
"""Bound of the residual stream and of everything that a matrix gives."""
GAIN_SHIFT = 20
"""Fraction bits of gains, which are at most 1 in magnitude."""
LENGTH_SHIFT = 24
"""Fraction bits of the scale of a norm's result, which is at most 1."""
FACTOR_SHIFT = 40
"""Fraction bits of factors that are the quotient of two integers."""
ROTARY_SHIFT = 14
"""Fraction bits of cosines."""
PHASE_BITS = 32
"""A full turn is ``2**32``, so phases wrap as they should."""
HEAD_UNIT = 8
"""Keys and values are rounded in units of 8 per step of their scale."""
HEAD_SCALE_BITS = 12
HEAD_SCALE_MAX = (1 << HEAD_SCALE_BITS) - 1
"""Bound of the scale of a key or value."""
HEAD_MAX = HEAD_UNIT * HEAD_SCALE_MAX
"""Bound of keys and values before they are rounded."""
RAW_MAX = 1 << 20
"""Bound of queries and keys before a norm of heads."""
MIXED_SHIFT = 47
MIXED_BITS = 17
"""Fraction bits of the mean of values."""
GATE_MAX = (1 << 19) - 1
"""Bound of the two inputs of the gate."""
SIGMOID_SHIFT = 15
"""Fraction bits of the logistic function."""
SIGMOID_INDEX_SHIFT = 20
"""Fraction bits of the factor from a gate to an index of the table."""
GATED_SHIFT = 8
"""What the product of the gate is divided by."""

ATTENTION, MIXED, FEEDFORWARD, GATED = range(4)
"""Columns of ``levels``: the inputs of the matrices behind."""


@dataclass(frozen=True, eq=False)
class LlamaParameters(IntegerParameters):
    """The tensors of ``LlamaConfig.specification``; run them only after `bounds.check_bounds`.

    - ``X``, ``X_multiplier``, ``X_shift``, ``X_scale_shift``: matrix int8, the units of each row of its result, and
      the fraction bits before and behind the product with the token's scale;
    - ``X_gain``: factors of columns before they are rounded, ``2**GAIN_SHIFT`` for 1;
    - ``levels``, ``final_levels``: largest integer of the activations that enter a matrix;
    - ``epsilon``: of the norms, times width and the square of the residual stream's unit;
    - ``rotary_step``: phase of each pair per token, ``2**PHASE_BITS`` a turn;
    - ``cosine``: one turn, in units of ``2**-ROTARY_SHIFT``;
    - ``dot_shift``, ``score_multiplier``, ``score_shift``: from products of query and key to scores;
    - ``sigmoid``: the logistic function around its middle entry, in units of ``2**-SIGMOID_SHIFT``;
    - ``attention_exponential``, ``frequency_exponential``: weights by distance from the largest.
    """

    config: LlamaConfig

    @property
    def head(self) -> IntegerArray:
        """Output matrix int8 ``[vocabulary_size, width]``: rows of the embedding when tied."""
        return self.values["embedding"][: self.config.vocabulary_size] if self.config.tied else self.values["head"]
