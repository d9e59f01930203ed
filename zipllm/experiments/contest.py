"""One codec on some data, through the benchmark: one process compresses, another decodes and compares."""

import tempfile
from pathlib import Path

from zipllm.bench.codecs import parse_codecs
from zipllm.bench.inputs import BenchInput
from zipllm.bench.runner import RunOptions, run_benchmark
from zipllm.experiments.ledger import Row
from zipllm.model_file.file import Model, save_model


def contest(codec: str, corpus: str, data: bytes) -> Row:
    """Measure one codec: return the numbers of a verified archive, or None for each and ``problem``.

    Args:
        codec: as in ``zipllm bench --codecs``, where a path may name a model.
        corpus: name of the data.
        data: bytes to compress.

    Raises:
        UsageError: the codec is unknown.
    """
    with tempfile.TemporaryDirectory(prefix="zipllm-study-") as folder:
        path = Path(folder, "data")
        path.write_bytes(data)
        item = BenchInput.of_file(corpus, corpus, path)
        specs = parse_codecs(codec, None)
        (row,) = run_benchmark([item], specs, RunOptions(scratch=Path(folder)))
    return {
        "raw_bytes": row.raw_bytes,
        "bytes": row.compressed_bytes,
        "bpb": row.bits_per_byte,
        "weights_bytes": row.weights_bytes,
        "compress_s": row.compress_s,
        "decompress_s": row.decompress_s,
        "problem": "" if row.verified else f"{row.status}: {row.message}",
    }


def keep_model(model: Model, folder: Path) -> Path:
    """Write a model where the processes of the benchmark find it, named by the beginning of its id."""
    path = folder / f"{model.model_id.hex()[:16]}.safetensors"
    if not path.exists():
        save_model(model, path)
    return path
