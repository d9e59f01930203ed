"""Compare models on the held-out data of a recipe, without the history: bits per byte of each domain.

    python benchmarks/by_domain.py small base --config benchmarks/recipes/family.toml --data-dir DATA

All models see windows of one length, each beginning without context, as the cards measure them; a card's own windows
may be longer. The networks are the integer ones that code files.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zipllm.data.windows import TOKEN_DTYPE, TokenSource
from zipllm.engine.engine import Engine, load_engine
from zipllm.predictor.base import PRECISION
from zipllm.train.recipe_file import read_recipe
from zipllm.train.validation import spaced_windows

STEPS = 32
"""Steps that one call predicts."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", help="names, paths or ids")
    parser.add_argument("--config", type=Path, required=True, help="a recipe with validation data")
    parser.add_argument("--data-dir", type=Path, help="base of its relative paths")
    parser.add_argument("--sequence", type=int, default=512, help="tokens in a window")
    parser.add_argument("--windows", type=int, default=24, help="of each domain")
    arguments = parser.parse_args()
    recipe = read_recipe(arguments.config, arguments.data_dir or arguments.config.parent)
    for name in arguments.models:
        engine = load_engine(name)
        for source in recipe.valid:
            tokens = [engine.tokenizer.encode(path.read_bytes()).astype(TOKEN_DTYPE) for path in source.paths]
            held = TokenSource(source.name, np.concatenate(tokens), 1.0)
            bits = bits_per_byte(engine, spaced_windows(held, arguments.sequence, arguments.windows))
            print(f"{name:12} {source.name:12} {bits:.3f}", flush=True)


def bits_per_byte(engine: Engine, windows: NDArray[np.int64]) -> float:
    """Return bits per byte of windows int64 ``[n, sequence]``, each a stream of its own."""
    predictor, wanted = engine.predictor, windows.astype(np.int32)
    fed = np.insert(wanted[:, :-1], 0, predictor.start_token, axis=1)
    state, lanes, bits = predictor.start(len(wanted)), np.arange(len(wanted), dtype=np.int32), 0.0
    for begin in range(0, wanted.shape[1], STEPS):
        cumulative = predictor.predict(state, fed[:, begin : begin + STEPS], lanes, threads=predictor.traits.threads)
        at = wanted[:, begin : begin + STEPS, None]
        share = np.take_along_axis(cumulative, at + 1, 2) - np.take_along_axis(cumulative, at, 2)
        bits += float((PRECISION - np.log2(share)).sum())
    lengths = np.array([len(token) for token in predictor.vocabulary])
    return bits / float(lengths[windows].sum())


if __name__ == "__main__":
    main()
