"""A record of all that a predictor's floats depend on: machine, libraries, settings, and a sample of the floats.

An archive whose model computes in floats carries this record, and decodes only where it is the same. It is flat,
canonical JSON without names of users, folders or hosts.
"""

import hashlib
import importlib
import os
import platform
from collections.abc import Mapping

import numpy as np
import torch

from zipllm.huggingface.folder import Loaded
from zipllm.huggingface.predictor import HuggingFacePredictor
from zipllm.machine import processor_name
from zipllm.model_file.canonical_json import dump_json, load_json

MAX_BYTES = (1 << 16) - 1
SCHEME = 1
"""Version of how this package turns a model's scores into frequencies, and of how it restarts contexts."""

_PROBED = 24
_SETTINGS = (
    "ATEN_CPU_CAPABILITY",
    "CUBLAS_WORKSPACE_CONFIG",
    "KMP_AFFINITY",
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_NUM_THREADS",
    "ONEDNN_MAX_CPU_ISA",
)
"""Environment variables that change how products are computed."""

Record = dict[str, str | int]


def numerics(loaded: Loaded, predictor: HuggingFacePredictor) -> bytes:
    """Return the record of a model on this machine with its current settings."""
    gpu = loaded.device != "cpu"
    record: Record = {
        "scheme": SCHEME,
        "architecture": loaded.folder.architecture,
        "model": loaded.digest,
        "context": predictor.context,
        "kept": predictor.kept,
        "start": predictor.start_token,
        "device": loaded.device,
        "processor": torch.cuda.get_device_name() if gpu else processor_name(),
        "instructions": f"CUDA {torch.version.cuda}" if gpu else str(torch.backends.cpu.get_cpu_capability()),
        "system": f"{platform.system()} {platform.machine()}",
        "dtype": str(loaded.network.dtype).removeprefix("torch."),
        "attention": "eager",
        "torch": str(torch.__version__),
        "transformers": str(importlib.import_module("transformers").__version__),
        "threads": torch.get_num_threads(),
        "flags": _flags(),
        "probe": _probe(predictor),
    }
    return dump_json(record)


def read_record(data: bytes) -> Record:
    """Read a record, which may come from a hostile archive.

    Raises:
        ModelInvalid: it is not flat JSON.
    """
    found = load_json(data, what="the record of the machine", max_bytes=MAX_BYTES, max_depth=1)
    members = found.items() if isinstance(found, dict) else ()
    return {name[:40]: value if isinstance(value, int) else str(value)[:200] for name, value in members}


def differences(written: Mapping[str, str | int], here: Mapping[str, str | int]) -> str:
    """Name the members in which two records differ; the sample of floats only if nothing else does."""
    names = sorted(name for name in written.keys() | here.keys() if written.get(name) != here.get(name))
    named = [name for name in names if name != "probe"] or names
    return "; ".join(f"{name} {_short(written.get(name))} there, {_short(here.get(name))} here" for name in named)


def _short(value: str | int | None) -> str:
    text = "none" if value is None or value == "" else str(value)
    return f"{text[:16]}..." if len(text) == 64 else text  # a digest


def _probe(predictor: HuggingFacePredictor) -> str:
    """Return the SHA-256 of a model's own scores and frequencies, step by step across one restart of the context."""
    size, steps = predictor.start_token, min(_PROBED, predictor.context + 2)
    tokens = np.append(size, np.arange(1, steps) * 7919 % size).astype(np.int32)
    state = predictor.start(1)
    scores = predictor.scores(state, tokens)
    digest = hashlib.sha256(scores.float().numpy().astype("<f4").tobytes())
    again = predictor.predict(predictor.start(1), tokens[None], np.zeros(1, dtype=np.int32))
    digest.update(again.astype("<i4").tobytes())
    return digest.hexdigest()


def _flags() -> str:
    settings = {name: os.environ[name] for name in _SETTINGS if name in os.environ}
    settings |= {
        "matmul": torch.get_float32_matmul_precision(),
        "deterministic": str(torch.are_deterministic_algorithms_enabled()),
        "mkldnn": str(torch.backends.mkldnn.is_available() and torch.backends.mkldnn.enabled),
    }
    return ",".join(f"{name}={value[:40]}" for name, value in sorted(settings.items()))
