"""An engine around a causal model of the Hugging Face library; its archives decode on this machine only."""

import hashlib
from functools import lru_cache

from zipllm.engine.engine import Engine
from zipllm.errors import ModelInvalid
from zipllm.huggingface.folder import find_folder, load_folder, tokenizer_text
from zipllm.huggingface.numerics import numerics
from zipllm.huggingface.predictor import HuggingFacePredictor
from zipllm.huggingface.tokenizer import HuggingFaceTokenizer


def huggingface_engine(query: str, device: str = "cpu") -> Engine:
    """Load a causal model of the Hugging Face library; errors as in ``load_engine``."""
    folder = find_folder(query)
    if folder.kind != "causal":
        raise ModelInvalid(
            f"{folder.architecture} predicts a token from both sides, so no decoder can follow it; use eval to measure "
            "it on a text"
        )
    loaded = load_folder(folder, device)
    try:
        tokenizer = HuggingFaceTokenizer(tokenizer_text(loaded), loaded.rows)
    except ValueError as error:
        raise ModelInvalid(f"the tokenizer of {str(folder.path)!r} cannot give bytes back: {error}") from error
    predictor = HuggingFacePredictor(loaded, tokenizer)
    record = numerics(loaded, predictor)
    return Engine(hashlib.sha256(record).digest(), tokenizer, predictor, numerics=record)


@lru_cache(maxsize=1)
def kept_engine(query: str, device: str, threads: int) -> Engine:
    """Load and keep the last one; with another number of threads it computes other floats."""
    return huggingface_engine(query, device)
