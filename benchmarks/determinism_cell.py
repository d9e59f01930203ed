"""One cell of ``determinism.py``: the archives that this process, with its threads, kernels and libraries, writes.

Prints one line of JSON: versions, the SHA-256 of all archives by the history alone and of all by the model, and how
many golden archives it could rewrite byte for byte. Without torch it leaves out the model.
"""

import argparse
import hashlib
import importlib.util
import io
import json
import os
import platform
import random
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

from zipllm.machine import choose_threads

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "zipllm" / "container" / "FORMAT.md"
GOLDEN = ROOT / "tests" / "golden"

HISTORY_GOLDEN: dict[str, dict[str, Any]] = {"history-text": {}, "history-records": {"history_bits": 12}}
MODEL_GOLDEN: dict[str, dict[str, Any]] = {
    "small": {"lanes": 2, "fallback": False},
    "small-static": {"lanes": 2, "fallback": False, "history_bits": None},
    "small-chosen": {"block_size": 200},
}
"""Golden archives by the options they were written with (``tests/golden/make_golden.py``)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--bytes", type=int, default=300, help="of text that the model codes")
    arguments = parser.parse_args()
    with_model = importlib.util.find_spec("torch") is not None
    if "CELL_THREADS" in os.environ:
        choose_threads(int(os.environ["CELL_THREADS"]))
    same = [golden(name, options, model=False) for name, options in HISTORY_GOLDEN.items()]
    if with_model:
        same += [golden(name, options, model=True) for name, options in MODEL_GOLDEN.items()]
    found = {
        "versions": versions(),
        "history": digest(history_archives()),
        "model": digest(model_archives(arguments.bytes)) if with_model else None,
        "golden": f"{sum(same)} of {len(same)}",
        "all_golden": all(same),
    }
    print(json.dumps(found))


def history_archives() -> Iterator[bytes]:
    """Code text, rows and noise by the history alone, in small blocks and large ones."""
    text, noise = PAGE.read_bytes()[:1200], random.Random(1).randbytes(200)
    table = b"".join(bytes([row % 256, row * row % 256, 0, 255, 7 * row % 256]) for row in range(120))
    yield archive(text, model=False)
    yield archive(table, model=False, history_bits=14)
    yield archive(text + noise, model=False, block_size=500, sample=False)


def model_archives(size: int) -> Iterator[bytes]:
    """Code by the model, with a history and without, one lane and several, and as the encoder chooses."""
    text, noise = PAGE.read_bytes()[:size], random.Random(1).randbytes(200)
    yield archive(text, model=True, lanes=1, fallback=False)
    yield archive(text, model=True, lanes=1, fallback=False, history_bits=None)
    yield archive(text + noise, model=True, lanes=3, fallback=False, block_size=size)
    yield archive(text[:300], model=True)


def archive(data: bytes, *, model: bool, original_size: int | None = None, **options: Any) -> bytes:
    from zipllm.codec.encoder import compress_stream
    from zipllm.codec.options import EncodeOptions
    from zipllm.engine.engine import load_engine

    sink, engine = io.BytesIO(), load_engine if model else None
    compress_stream(
        io.BytesIO(data), sink, engine=engine, options=EncodeOptions(**options), original_size=original_size
    )
    return sink.getvalue()


def golden(name: str, options: dict[str, Any], *, model: bool) -> bool:
    """Return whether a golden archive decodes, and its content encodes to the same bytes."""
    from zipllm.codec.decoder import DecodeOptions, decompress_stream
    from zipllm.engine.engine import find_engine

    stored, sink = (GOLDEN / f"{name}.zllm").read_bytes(), io.BytesIO()
    decompress_stream(io.BytesIO(stored), sink, options=DecodeOptions(engines=find_engine))
    raw = sink.getvalue()
    return archive(raw, model=model, original_size=len(raw), **options) == stored


def digest(archives: Iterator[bytes]) -> str:
    total = hashlib.sha256()
    for data in archives:
        total.update(data)
    return total.hexdigest()


def versions() -> str:
    found = [f"py{platform.python_version()}"]
    for name in ("torch", "numpy", "numba", "tokenizers"):
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            found.append(f"no {name}")
    return " ".join(found)


if __name__ == "__main__":
    main()
