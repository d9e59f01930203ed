"""The bounds and fraction bits of the integer arithmetic; needs neither torch nor numpy."""

import math

INT8_MAX = 127
"""Bound of every int8 operand; -128 is never produced and is refused in weights."""
WIDE_SHIFT = 7
WIDE_MAX = INT8_MAX << WIDE_SHIFT
"""Bound of activations of 15 bits: ``128 * high + low``, both of them int8."""
INT16_MAX = 32_767
"""Bound of queries and keys before they are normalized."""
FEEDFORWARD_MAX = 4_095
"""Bound of the feed-forward's activations before they are squared."""
SQUARE_SHIFT = 17
"""Squares are divided by ``2**17``: a little under 4,095 squared becomes 127."""
NORM_SHIFT = 40
"""Fraction bits of the constants handed to `arithmetic.scale_to_int8`."""
FLOAT32_EXACT = 1 << 24
FLOAT64_EXACT = 1 << 53
PRECISION = 24
TOTAL = 1 << PRECISION
"""What frequencies sum to."""
RATIO_SHIFT = 32
"""Fraction bits of the ratio that scales frequencies to their total."""


def residual_limit(width: int) -> int:
    """Largest magnitude in the residual stream: ``width * limit**2 < 2**53`` and below ``2**22``."""
    return min((1 << 22) - 1, math.isqrt((FLOAT64_EXACT - 1) // width))
