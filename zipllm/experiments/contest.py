"""One codec on one piece of data, through the benchmark: compressed by one process, decoded by another, compared."""

import hashlib
import tempfile
from pathlib import Path
from typing import Any

from zipllm.bench.codecs import parse_codecs
from zipllm.bench.inputs import BenchInput
from zipllm.bench.result import Row as BenchRow
from zipllm.bench.runner import RunOptions, run_benchmark
from zipllm.errors import ZipllmError
from zipllm.model_file.file import Model, save_model


def contest(codec: str, corpus: str, data: bytes) -> dict[str, Any]:
    """Measure one codec.

    Args:
        codec: as for ``zipllm bench --codecs``; a model may be given by its path.
        corpus: name of the data.
        data: what is compressed.

    Returns:
        The numbers of a verified archive, or none and ``problem``.

    Raises:
        UsageError: there is no such codec.
    """
    with tempfile.TemporaryDirectory(prefix="zipllm-study-") as folder:
        path = Path(folder, "data")
        path.write_bytes(data)
        digest = hashlib.sha256(data).hexdigest()
        item = BenchInput(corpus, corpus, path, len(data), digest, digest)
        specs = parse_codecs(codec, None)
        (row,) = run_benchmark([item], specs, RunOptions(scratch=Path(folder)))
        return _numbers(row)


def _numbers(row: BenchRow) -> dict[str, Any]:
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
    """Write a model where the processes of the benchmark find it; its name begins its id."""
    path = folder / f"{model.model_id.hex()[:16]}.safetensors"
    if not path.exists():
        save_model(model, path)
    return path


def is_there(codec: str) -> bool:
    """Whether the library of a conventional codec is installed."""
    from zipllm.bench.codecs import open_codec
    from zipllm.bench.spec import parse_spec

    try:
        open_codec(parse_spec(codec))
    except ZipllmError:
        return False
    return True
