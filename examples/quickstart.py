"""Compress a file from Python, and look at what its bytes cost: python examples/quickstart.py [FILE].

Prints the sizes of the file, by xz and by zipllm, then the ten tokens of the first 2 KB that surprised the model most.
"""

import lzma
import sys
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import zipllm
from zipllm.engine.engine import Engine


def main() -> None:
    """Compress one file and show its dearest tokens."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__)
    data = path.read_bytes()
    model = zipllm.load_model()
    archive = zipllm.compress(data, model=model)
    assert zipllm.decompress(archive, model=model) == data
    print(f"{path.name}: {len(data):,} bytes, xz {len(lzma.compress(data)):,}, zipllm {len(archive):,}")

    tokens = model.tokenizer.encode(data[:2048])
    bits = surprise(model, tokens)
    print(
        f"the first {min(2048, len(data)):,} bytes are {len(tokens)} tokens and cost {bits.sum():.0f} bits; most of all"
    )
    for index in np.argsort(-bits)[:10]:
        context = model.tokenizer.decode(tokens[max(0, index - 8) : index].tolist())
        token = model.tokenizer.decode(tokens[index : index + 1].tolist())
        print(f"  {bits[index]:5.1f} bits  {context.decode(errors='replace')!r} -> {token.decode(errors='replace')!r}")


def surprise(model: Engine, tokens: NDArray[np.int32]) -> NDArray[np.float64]:
    """Return the bits that each token costs, given those before it."""
    predictor = model.predictor
    inputs = np.concatenate(([predictor.start_token], tokens[:-1])).astype(np.int32)
    cumulative = predictor.predict(predictor.start(1), inputs[None, :], np.zeros(1, np.int32))[0]
    frequencies = np.diff(cumulative, axis=1)[np.arange(len(tokens)), tokens]
    bits: NDArray[np.float64] = predictor.precision - np.log2(frequencies)
    return bits


if __name__ == "__main__":
    main()
