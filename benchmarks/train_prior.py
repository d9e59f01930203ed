"""Learn what the full history knows before it has seen a file: ``zipllm/mixing/prior_full.safetensors``.

    python benchmarks/train_prior.py OUT/train/* [--model NAME] [--bytes 49152]

Runs the encoder over two pieces of each text, one after the other; maps and weights stay, histories are cleared. Takes
the training data of the shipped models, as ``recipes/prepare.py`` lays them out; benchmarks must not be among them. A
prior is part of the archive format: a new one needs a new mixer version.
"""

import argparse
import hashlib
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from zipllm.codec.block.coding import AdaptiveEncoder, Predicted
from zipllm.codec.block.lane_groups import predicted_chunks
from zipllm.codec.block.setup import TEXT_STYLE, BlockSetup, coding_parameters, lane_count, split
from zipllm.codec.options import DEFAULT_HISTORY_BITS
from zipllm.container.block import FULL_MIXER
from zipllm.engine.engine import Engine, load_engine
from zipllm.mixing.memory import SHAPES, Memory, new_memory, plain_prior
from zipllm.mixing.predictions import NO_MODEL
from zipllm.mixing.prior import FILES, Prior, pack_prior

TARGET = Path(__file__).resolve().parents[1] / "zipllm" / "mixing" / FILES[FULL_MIXER]


def learn(raw: bytes, engine: Engine | None, prior: Prior) -> tuple[Prior, int]:
    """Code one text; return what was learned, and the number of coded bytes."""
    lanes = 1 if engine is None else lane_count(len(raw))
    parameters = coding_parameters(len(raw), lanes, TEXT_STYLE, DEFAULT_HISTORY_BITS)
    setup = BlockSetup(engine, len(raw), parameters)
    memory = new_memory(setup.sizes, parameters.history, prior, SHAPES[FULL_MIXER])
    coder = AdaptiveEncoder(setup.vocabulary, memory, TEXT_STYLE)
    if engine is None:
        tokens = np.frombuffer(raw, dtype=np.uint8).astype(np.int32)[None]
        coder.encode(Predicted(np.zeros(1, np.int32), np.array([len(raw)]), tokens, NO_MODEL))
    else:
        pieces = [engine.tokenizer.encode(piece) for piece in split(raw, lanes)]
        for chunk in predicted_chunks(engine, pieces, whole=True):
            coder.encode(chunk)
    return learned(memory), 4 * len(coder.finish())


def learned(memory: Memory) -> Prior:
    """Return the part of a memory that the next text starts from."""
    return Prior(memory.maps, memory.stop_maps, memory.match_maps, memory.weights, memory.final_weights)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+", type=Path)
    parser.add_argument("--model", default=None)
    parser.add_argument("--bytes", type=int, default=48 << 10, help="of each piece")
    arguments = parser.parse_args()
    arrays = {}
    texts = [(path, path.read_bytes()) for path in arguments.texts]
    for kind, engine in (("text", None), ("model", load_engine(arguments.model))):
        prior = plain_prior(SHAPES[FULL_MIXER])
        for third in (1, 2):
            for path, data in texts:
                begin = len(data) * third // 3
                raw = data[begin : begin + arguments.bytes]
                prior, size = learn(raw, engine, prior)
                print(f"{kind}  {path.name}  {len(raw)} bytes  {8 * size / len(raw):.3f} bpb", flush=True)
        arrays.update(pack_prior(kind, prior))
    save_file(arrays, TARGET)
    print(TARGET.name, TARGET.stat().st_size, "bytes, SHA-256", hashlib.sha256(TARGET.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
