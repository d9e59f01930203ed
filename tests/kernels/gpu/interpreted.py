"""The GPU's kernels in Triton's interpreter, against the reference.

``TRITON_INTERPRET=1 python -m tests.kernels.gpu.interpreted shapes``, or ``ways``.
A process of its own, because Triton decides at its import whether it interprets. Prints the cases that differ. Each
program of a kernel takes 20 ms, so sizes are the smallest that reach a path; ``tests/gpu`` has others, on a GPU.
"""

import sys
from collections.abc import Iterator
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray

from tests.kernels.models import every, expected, random_model, random_tokens
from tests.model.conftest import extreme_model, shaped
from zipllm.kernels.gpu import forward as gpu_forward
from zipllm.kernels.gpu.network import GpuNetwork
from zipllm.model.transformer.parameters import TransformerParameters

SHAPES = [
    shaped(),  # sizes are powers of two; several layers; a window that is not full
    shaped(window=1, width=2, layers=1, feedforward=1, vocabulary_size=1),  # the least of everything
    shaped(window=2, width=21, layers=1, heads=3, feedforward=36, vocabulary_size=67, tied=True),  # a ring that wraps
    shaped(window=64, width=130, layers=1, heads=2, feedforward=1100, vocabulary_size=2100, position="alibi"),
]
"""The last has more feed-forward columns than a block, and heads longer than Triton's smallest product."""


def computed(model: TransformerParameters, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    """Feed one token, then three, then one, then the rest."""
    network = GpuNetwork(model, "cpu")
    state = network.start(len(tokens))
    pieces = np.split(tokens, [1, 4, 5], axis=1)
    return np.concatenate(
        [network.predict(state, piece, every(piece)).copy() for piece in pieces if piece.size], axis=1
    )


def without_step_kernel(model: TransformerParameters, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    """Feed single tokens as where a window is too large for the kernel of single steps."""
    with patch.object(gpu_forward, "MAX_TILE", 0):
        return computed(model, tokens)


def in_columns(model: TransformerParameters, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    """Add frequencies up some columns at a time, as where a vocabulary is too large for a row in registers."""
    with patch.object(gpu_forward, "WHOLE_ROW", 0), patch.object(gpu_forward, "COLUMN_BLOCK", 16):
        return computed(model, tokens)


def in_tiles(model: TransformerParameters, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    """Feed all tokens in one call: pieces, each several tiles of queries, each several tiles of keys."""
    network = GpuNetwork(model, "cpu")
    with patch.multiple(gpu_forward, MIN_ROWS=4, MAX_ROWS=4, KEY_TILE=4):
        return network.predict(network.start(len(tokens)), tokens, every(tokens))


def undecided(model: TransformerParameters) -> TransformerParameters:
    """Return a model to which many tokens are equally likely: what rounding leaves over is the first one's."""
    tensors = dict(model.tensors())
    tensors["head_multiplier"] = tensors["head_multiplier"] * 0
    return TransformerParameters.from_tensors(model.config, tensors)


def some_lanes(model: TransformerParameters, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    """Feed lanes in turns, in pieces of 1 to 3 tokens."""
    generator = np.random.default_rng(0)
    network = GpuNetwork(model, "cpu")
    state, fed = network.start(len(tokens)), np.zeros(len(tokens), dtype=int)
    result = np.zeros((*tokens.shape, model.config.vocabulary_size + 1), dtype=np.int32)
    while (fed < tokens.shape[1]).any():
        time = int(generator.integers(1, 4))
        able = (fed + time <= tokens.shape[1]) & (generator.random(len(tokens)) < 0.6)
        lanes = np.flatnonzero(able).astype(np.int32)
        if lanes.size:
            piece = np.stack([tokens[lane, fed[lane] : fed[lane] + time] for lane in lanes])
            for row, lane in zip(network.predict(state, piece, lanes), lanes, strict=True):
                result[lane, fed[lane] : fed[lane] + time] = row
            fed[lanes] += time
    return result


def ending(model: TransformerParameters, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    """Feed single tokens to lanes that end one by one, the longest last: a lane fewer at each step."""
    network, lanes = GpuNetwork(model, "cpu"), len(tokens)
    state = network.start(lanes)
    result = np.zeros((*tokens.shape, model.config.vocabulary_size + 1), dtype=np.int32)
    for time in range(tokens.shape[1]):
        running = np.arange(min(time, lanes - 1), lanes, dtype=np.int32)
        result[running, time] = network.predict(state, tokens[running, time : time + 1], running)[:, 0]
    return result


def copied(model: TransformerParameters, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    """Feed two lanes three tokens, and the rest to three copies of the first."""
    network = GpuNetwork(model, "cpu")
    state = network.start(2)
    network.predict(state, tokens[:2, :3], every(tokens[:2]))
    return network.predict(network.copy(state, 3), np.repeat(tokens[:1, 3:], 3, axis=0), np.arange(3, dtype=np.int32))


def rewound(model: TransformerParameters, tokens: NDArray[np.int32]) -> NDArray[np.int32]:
    """Feed the last token of two lanes behind wrong ones that are taken back, more than the window has."""
    network = GpuNetwork(model, "cpu")
    state, wrong = network.start(2), np.zeros((2, 5), dtype=np.int32)
    network.predict(state, np.concatenate([tokens[:2, :-1], wrong], axis=1), every(tokens[:2]))
    network.rewind(state, every(tokens[:2]), 5)
    return network.predict(state, tokens[:2, -1:], every(tokens[:2]))


def selected(model: TransformerParameters, tokens: NDArray[np.int32]) -> bool:
    """Whether some columns of predictions are those of the whole: in pieces, behind single steps, in used memory."""
    generator = np.random.default_rng(1)
    columns = generator.integers(0, model.config.vocabulary_size + 1, (11, 3), dtype=np.int32)
    wanted = generator.integers(0, 11, tokens.shape, dtype=np.int32)
    right = np.take_along_axis(expected(model, tokens), columns[wanted], axis=2)
    network = GpuNetwork(model, "cpu")
    for cuts in ([], [2], [1, 2]):
        state = network.start(len(tokens))  # the one before has been let go
        parts = zip(np.split(tokens, cuts, axis=1), np.split(wanted, cuts, axis=1), strict=True)
        result = [
            network.predict(state, piece, every(piece), selection=(columns, rows)).copy() for piece, rows in parts
        ]
        if not np.array_equal(np.concatenate(result, axis=1), right):
            return False
    state = network.start(len(tokens))
    for step in range(3):
        network.predict(state, tokens[:, step, None], every(tokens))
    rest = network.predict(state, tokens[:, 3:], every(tokens), selection=(columns, wanted[:, 3:]))
    return np.array_equal(rest, right[:, 3:])


def different_shapes() -> Iterator[str]:
    for number, config in enumerate(SHAPES):
        tokens = random_tokens(config, lanes=2, time=5, seed=number)
        for kind, model in (("random", random_model(config, number)), ("extreme", extreme_model(config))):
            if not np.array_equal(computed(model, tokens), expected(model, tokens)):
                yield f"{kind} model {config}"


def different_ways() -> Iterator[str]:
    config = shaped(window=2, layers=1, heads=1)
    model, extreme = random_model(config, 2), extreme_model(config)
    alike = undecided(model)
    wide = shaped(window=8, layers=1, heads=1)
    tokens, long = random_tokens(config, lanes=3, time=5, seed=1), random_tokens(wide, lanes=1, time=17, seed=2)
    few, many, here = tokens[:1, :2], random_tokens(config, lanes=5, time=5, seed=3), np.arange(5)
    whole = expected(model, tokens)
    for what, found, right in (
        ("single steps by the kernel of passes", without_step_kernel(model, tokens[:2]), whole[:2]),
        ("some of the lanes at each call", some_lanes(model, tokens), whole),
        ("tiles", in_tiles(random_model(wide, 2), long), expected(random_model(wide, 2), long)),
        ("tiles, extreme", in_tiles(extreme_model(wide), long), expected(extreme_model(wide), long)),
        ("frequencies some columns at a time", in_columns(model, few), whole[:1, :2]),
        ("frequencies some columns at a time, extreme", in_columns(extreme, few), expected(extreme, few)),
        ("equal frequencies", computed(alike, few), expected(alike, few)),
        ("equal frequencies some columns at a time", in_columns(alike, few), expected(alike, few)),
        ("copies of a lane", copied(model, tokens), np.repeat(whole[:1, 3:], 3, axis=0)),
        ("wrong tokens that are taken back", rewound(model, tokens), whole[:2, -1:]),
        ("lanes that end one by one", ending(model, many),
         np.where((here[:, None] >= here)[..., None], expected(model, many), 0)),
        ("some columns", selected(model, tokens[:2]), True),
    ):  # fmt: skip
        if not np.array_equal(found, right):
            yield what


def main(which: str) -> int:
    different = list(different_shapes() if which == "shapes" else different_ways())
    print("\n".join(different), end="")
    return len(different)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]) > 0)
