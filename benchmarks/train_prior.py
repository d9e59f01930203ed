"""Learn what the history knows before it has seen a file: ``zipllm/mixing/prior.safetensors``.

    python benchmarks/train_prior.py TEXT... [--model NAME] [--bytes 102400]

Runs the encoder over the beginning of each text, one after the other; maps and weights stay, histories are cleared. The
texts must be no benchmarks, and the model must not have been trained on them, or the mixer would trust it too much. A
prior is part of the archive format: a new one needs a new mixer version.
"""

import argparse
import hashlib
import lzma
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from zipllm.codec.block.coding import AdaptiveEncoder, Predicted
from zipllm.codec.block.lane_groups import predicted_chunks
from zipllm.codec.block.setup import TEXT_STYLE, BlockSetup, lane_count, split
from zipllm.coder.range_coder import PROBABILITY_BITS
from zipllm.container import CodingParameters
from zipllm.container.block import MIXER_VERSION
from zipllm.engine.engine import Engine, load_engine
from zipllm.mixing.memory import new_memory, plain_prior
from zipllm.mixing.predictions import NO_MODEL
from zipllm.mixing.prior import Prior, pack_prior

SLOT_BITS = 20
TARGET = Path(__file__).resolve().parents[1] / "zipllm" / "mixing" / "prior.safetensors"


def encoder(raw: bytes, engine: Engine | None, prior: Prior) -> AdaptiveEncoder:
    lanes = 1 if engine is None else lane_count(len(raw))
    parameters = CodingParameters(lanes, PROBABILITY_BITS, mixer=MIXER_VERSION, history=SLOT_BITS)
    setup = BlockSetup(engine, len(raw), parameters)
    return AdaptiveEncoder(setup.vocabulary, new_memory(setup.sizes, SLOT_BITS, prior), TEXT_STYLE)


def learn(raw: bytes, engine: Engine | None, prior: Prior) -> tuple[Prior, int]:
    """Code one text; return what was learned, and the number of coded bytes."""
    coder = encoder(raw, engine, prior)
    if engine is None:
        tokens = np.frombuffer(raw, dtype=np.uint8).astype(np.int32)[None]
        coder.encode(Predicted(np.zeros(1, np.int32), np.array([len(raw)]), tokens, NO_MODEL))
    else:
        lanes = lane_count(len(raw))
        pieces = [engine.tokenizer.encode(piece) for piece in split(raw, lanes)]
        for chunk in predicted_chunks(engine, pieces, whole=True):
            coder.encode(chunk)
    memory = coder.memory
    learned = Prior(memory.maps, memory.stop_maps, memory.match_maps, memory.weights, memory.final_weights)
    return learned, 4 * len(coder.finish())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("texts", nargs="+", type=Path, help="texts, .xz or plain")
    parser.add_argument("--model", default=None)
    parser.add_argument("--bytes", type=int, default=100 * 1024, help="of each text")
    arguments = parser.parse_args()
    arrays = {}
    for name, engine in (("text", None), ("model", load_engine(arguments.model))):
        prior = plain_prior()
        for path in arguments.texts:
            data = path.read_bytes()
            raw = (lzma.decompress(data) if path.suffix == ".xz" else data)[: arguments.bytes]
            prior, size = learn(raw, engine, prior)
            print(f"{name}  {path.name}  {len(raw)} bytes  {8 * size / len(raw):.3f} bpb", flush=True)
        arrays.update(pack_prior(name, prior))
    save_file(arrays, TARGET)
    print(TARGET.name, TARGET.stat().st_size, "bytes, SHA-256", hashlib.sha256(TARGET.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
