"""Every model that a user can name, made ready to code: model files, and folders of the Hugging Face library."""

import hashlib
from functools import lru_cache

import torch

from zipllm.codec import engine as model_files
from zipllm.codec.engine import Engine
from zipllm.errors import ModelInvalid
from zipllm.model.huggingface import find_folder, is_huggingface, load_folder, tokenizer_text
from zipllm.predictor.huggingface import HuggingFacePredictor
from zipllm.predictor.numerics import numerics
from zipllm.tokenizer.huggingface import HuggingFaceTokenizer


def named_engine(query: str | None, device: str = "cpu") -> Engine:
    """Load a model by name, path or id (hexadecimal), as ``hf:FOLDER`` or ``hub:OWNER/NAME``, or the default model.

    Raises:
        ModelNotFound: there is none.
        ModelInvalid: its file is damaged or fails its self-test; or the library cannot load it, or it is not causal.
        UsageError: it needs a library that is not installed.
    """
    if query is not None and is_huggingface(query):
        return _kept_engine(query, device, torch.get_num_threads())
    return model_files.load_engine(query, device)


def huggingface_engine(query: str, device: str = "cpu") -> Engine:
    """Load a causal model of the Hugging Face library; errors as in ``named_engine``."""
    folder = find_folder(query)
    if folder.kind != "causal":
        raise ModelInvalid(
            f"{folder.architecture} predicts a token from both sides, so no decoder can follow it; eval tells what it "
            "makes of a text"
        )
    loaded = load_folder(folder, device)
    try:
        tokenizer = HuggingFaceTokenizer(tokenizer_text(loaded), loaded.rows)
    except ValueError as error:
        raise ModelInvalid(f"the tokenizer of {str(folder.path)!r} cannot give bytes back: {error}") from error
    predictor = HuggingFacePredictor(loaded, tokenizer)
    record = numerics(loaded, predictor)
    return Engine.create(hashlib.sha256(record).digest(), tokenizer, predictor, numerics=record)


@lru_cache(maxsize=1)
def _kept_engine(query: str, device: str, threads: int) -> Engine:
    """Keep the last one; with other threads it computes other floats."""
    return huggingface_engine(query, device)
