"""Loads the model that the user named; numpy, numba and torch are imported only then."""

import os
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Literal

from zipllm.errors import UsageError
from zipllm.machine import choose_threads

if TYPE_CHECKING:
    from zipllm.engine.engine import Engine
    from zipllm.huggingface.folder import Loaded
    from zipllm.model_file.store import StoredModel


@dataclass(frozen=True)
class Loader:
    """Which model (None: the archive's own or the default), on which device, with how many threads (0: one per core).

    Its methods raise ``ModelError`` if the model is missing or unusable, and ``UsageError`` if the device or a library
    is. Device and threads change no byte of a result.
    """

    model: str | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int = 0

    def __post_init__(self) -> None:
        if self.threads:
            choose_threads(self.threads)

    def check(self) -> None:
        """Look for the model the user named, so that a typing error shows even where no block needs a model."""
        from zipllm.huggingface.folder import find_folder

        if self.model is not None and self.is_huggingface:
            find_folder(self.model)
        elif self.model is not None:
            self.stored()

    def stored(self) -> "StoredModel":
        """Look for the model file the user named, or the default one."""
        from zipllm.model_file.store import DEFAULT_MODEL, ModelStore

        return ModelStore.default().find(DEFAULT_MODEL if self.model is None else self.model)

    def engine(self, model_id: bytes | None = None) -> "Engine":
        """Load the model the user named, else the one an archive names by its id, else the default."""
        from zipllm.engine.engine import find_engine, load_engine

        device = self._ready_device
        if self.model is None and model_id is not None:
            return find_engine(model_id, device)
        return load_engine(self.model, device)

    def embedded_engine(self, model_file: bytes) -> "Engine":
        """Load the model file that an archive carries."""
        from zipllm.engine.engine import engine_from_model_file

        return engine_from_model_file(model_file, self._ready_device)

    def measuring_engine(self) -> "Engine":
        """Load the Hugging Face model the user named for measuring only, which is faster."""
        from zipllm.huggingface.predictor import HuggingFacePredictor

        engine = self.engine()
        assert isinstance(engine.predictor, HuggingFacePredictor), "asked for only with such a model"
        return replace(engine, predictor=engine.predictor.measuring())

    def masked(self) -> "Loaded":
        """Load the masked model the user named."""
        from zipllm.huggingface.folder import find_folder, load_folder

        assert self.model is not None, "asked for only with a Hugging Face model"
        return load_folder(find_folder(self.model), self._ready_device)

    @property
    def is_huggingface(self) -> bool:
        """Whether the model is one of the Hugging Face library, whose floats are those of this machine."""
        from zipllm.huggingface.folder import is_huggingface

        return is_huggingface(self.model)

    @property
    def is_masked(self) -> bool:
        """Whether the model predicts a token from both sides."""
        from zipllm.huggingface.folder import find_folder

        return self.model is not None and self.is_huggingface and find_folder(self.model).kind == "masked"

    @property
    def name(self) -> str:
        """What to call the model."""
        from zipllm.model_file.store import DEFAULT_MODEL, SUFFIX

        if self.model is not None and self.is_huggingface:
            return self.model.rstrip("/")
        return DEFAULT_MODEL if self.model is None else os.path.basename(self.model).removesuffix(SUFFIX)

    def workers(self, *, model: bool = False) -> int:
        """Return how many blocks are coded at a time: one if all threads share it for a ``model`` on the CPU."""
        from zipllm.codec.options import worker_count
        from zipllm.machine import best_device

        on_cpu = model and (self.device == "cpu" or (self.device == "auto" and best_device() == "cpu"))
        return worker_count(self.threads, one_block=on_cpu)

    @cached_property
    def _ready_device(self) -> str:
        from zipllm.machine import best_device

        if self.device == "cpu":
            return "cpu"
        device = best_device()
        if device == "cpu" and self.device == "cuda":
            raise UsageError("--device cuda: no CUDA device can be used here")
        return device
