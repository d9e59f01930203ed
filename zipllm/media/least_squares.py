"""Least squares on what came before, in integers: which sum of neighbors would have predicted the last samples best.

Decayed sums of products stand for the last samples, and one sweep of Gauss and Seidel for each sample moves the weights
towards their solution. A sweep lowers a convex energy at each step, so it cannot diverge, and it needs no floating
point, unlike a Cholesky factorisation (Wu, Barthel and Zhang, "Piecewise 2D autoregression for predictive image
coding", 1998; Ye and Hou, "A least-squares-based prediction scheme", 2004; the OLS predictors of paq8px).

Sums fit int64. Features of sound are at most ``2**17`` and its sums decay by ``2**-9`` or faster, so a sum is at most
``2**43``; without its last 4 bits (``spare``), times 32 weights of at most ``2**18``, it stays within ``2**62``. With
targets of ``2**23`` the products are at most ``2**49``, and are shifted by 6 bits. Features of pictures are at most
``2**13`` and the decay is ``2**-8``: ``2**34``, and 38 weights.
"""

import numpy as np

from zipllm.jit.compiled import Integer, long_part, part
from zipllm.media.memory import Squares

WEIGHT_BITS = 16
MOST_WEIGHT = 1 << 18


@part
def towards_zero(number: Integer, divisor: Integer) -> Integer:
    """Return a quotient rounded towards zero; the divisor is positive."""
    return number // divisor if number >= 0 else -(-number // divisor)


@long_part
def weighted_sum(squares: Squares, model: Integer, count: Integer) -> Integer:
    """Return the prediction from the first ``count`` features, with ``WEIGHT_BITS`` fraction bits more than they."""
    weights, features = squares.weights[model], squares.features
    total = np.int64(0)
    for index in range(count):
        total += weights[index] * features[index]
    return total


@long_part
def learn_squares(
    squares: Squares,
    model: Integer,
    count: Integer,
    target: Integer,
    fraction: Integer,
    spare: Integer,
    decay: Integer,
    ridge: Integer,
) -> None:
    """Learn what the first ``count`` features should have given.

    Args:
        squares: of all models.
        model: which of them.
        count: of features.
        target: in the unit of the features, with more fraction bits.
        fraction: how many more.
        spare: bits that sums are long, and that products with weights leave out.
        decay: older samples count ``1 - 2**-decay`` as much.
        ridge: is added to the diagonal, so that small weights are preferred.
    """
    moments, products = squares.moments[model], squares.products[model]
    weights, features = squares.weights[model], squares.features
    half = np.int64(1) << (decay - 1)
    for index in range(count):
        row, own = moments[index], features[index]
        total = np.int64(0)
        for other in range(count):
            moment = row[other] + own * features[other] - ((row[other] + half) >> decay)
            row[other] = moment
            total += (moment >> spare) * weights[other]
        product = products[index] + own * target - ((products[index] + half) >> decay)
        products[index] = product
        step = towards_zero((product << (WEIGHT_BITS - fraction - spare)) - total, (row[index] + ridge) >> spare)
        weights[index] = min(max(weights[index] + step, np.int64(-MOST_WEIGHT)), np.int64(MOST_WEIGHT))
