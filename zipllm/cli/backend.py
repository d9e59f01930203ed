"""The one door to the codec: from flags to functions that code one stream.

numpy and the codec are imported behind this door, when the first file is open, so that words and errors about files
cost nothing; torch only where it computes. Models are loaded once for all files of a command.
"""

import contextlib
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, BinaryIO

from zipllm.container import BlockHeader, Limits, scan
from zipllm.errors import FileError, UsageError, ZipllmError
from zipllm.files.source import Source

if TYPE_CHECKING:
    from zipllm.codec.decoder import DecodeOptions
    from zipllm.codec.options import By, EncodeOptions
    from zipllm.engine.engine import Engine
    from zipllm.huggingface.folder import Loaded
    from zipllm.measure.explanation import Explanation
    from zipllm.model_file.store import StoredModel
    from zipllm.progress import ProgressCallback, Summary

Work = Callable[[BinaryIO, BinaryIO | None, "ProgressCallback | None"], "Summary"]
"""Codes a source into a sink (None: nowhere) and tells how far it is."""


Explain = Callable[[bytes, Callable[[float], None] | None], "Explanation"]
"""Tells what each token of some bytes costs, and how far it is."""


@dataclass(frozen=True)
class Machine:
    """With which model, where, and with how many threads; nothing of this changes a byte of the result.

    Attributes:
        model: name, path or id; None is the level's when compressing, the archive's own when decompressing.
        device: ``auto``, ``cpu`` or ``cuda``.
        threads: of the processor; 0 leaves the choice to the libraries.
    """

    model: str | None = None
    device: str = "auto"
    threads: int = 0

    def check(self) -> None:
        """Look for the model the user named, so that a typing error shows even where no block needs a model.

        Raises:
            ModelError: there is none of that name, path or id, or its header is damaged.
            UsageError: it needs a library that is not installed.
        """
        from zipllm.huggingface.folder import find_folder

        if self.model is not None and self.is_huggingface:
            find_folder(self.model)
        elif self.model is not None:
            self.stored()

    def measuring_engine(self) -> "Engine":
        """Load the Hugging Face model the user named, to measure only, which is faster; errors as ``engine``."""
        from zipllm.huggingface.predictor import HuggingFacePredictor

        engine = self.engine()
        assert isinstance(engine.predictor, HuggingFacePredictor), "asked for only with such a model"
        return replace(engine, predictor=engine.predictor.measuring())

    def masked(self) -> "Loaded":
        """Load the masked model the user named; errors as ``engine``."""
        from zipllm.huggingface.folder import find_folder, load_folder

        assert self.model is not None, "asked for only with a Hugging Face model"
        return load_folder(find_folder(self.model), self._ready_device)

    @property
    def is_masked(self) -> bool:
        """Whether the model named predicts a token from both sides; errors as ``check``."""
        from zipllm.huggingface.folder import find_folder

        return self.model is not None and self.is_huggingface and find_folder(self.model).kind == "masked"

    @property
    def is_huggingface(self) -> bool:
        """Whether the model named is one of the Hugging Face library, whose floats are those of this machine."""
        from zipllm.huggingface.folder import is_huggingface

        return is_huggingface(self.model)

    def stored(self) -> "StoredModel":
        """Look for the model the user named, or the default one; errors as ``check``."""
        from zipllm.model_file.store import DEFAULT_MODEL, ModelStore

        return ModelStore.default().find(DEFAULT_MODEL if self.model is None else self.model)

    def engine(self, model_id: bytes | None = None) -> "Engine":
        """Load the model the user named, else the one an archive names by its id, else the default.

        Raises:
            ModelError: it is missing or unusable.
            UsageError: the device is not there.
        """
        from zipllm.engine.engine import find_engine
        from zipllm.engine.named import named_engine

        device = self._ready_device
        if self.model is None and model_id is not None:
            return find_engine(model_id, device)
        return named_engine(self.model, device)

    def embedded_engine(self, model_file: bytes) -> "Engine":
        """Make the model file that an archive carries ready to code.

        Raises:
            ModelInvalid: it is damaged, hostile, or fails its self-test here.
            UsageError: the device is not there.
        """
        from zipllm.engine.engine import engine_from_model_file

        return engine_from_model_file(model_file, self._ready_device)

    @property
    def model_name(self) -> str:
        """What to call the model that compresses."""
        from zipllm.model_file.store import DEFAULT_MODEL, SUFFIX

        if self.model is not None and self.is_huggingface:
            return self.model.rstrip("/")
        return DEFAULT_MODEL if self.model is None else os.path.basename(self.model).removesuffix(SUFFIX)

    def workers(self, *, on_cpu: bool = False) -> int:
        """Return how many blocks are worked on at a time; one, if all threads share it for a model on the processor."""
        from zipllm.codec.workers import worker_count

        return worker_count(self.threads, one_block=on_cpu)

    def decode_options(self, limits: Limits) -> "DecodeOptions":
        """Return how this machine reads archives."""
        from zipllm.codec.decoder import DecodeOptions

        return DecodeOptions(engines=self.engine, embedded=self.embedded_engine, limits=limits, workers=self.workers())

    @property
    def on_cpu(self) -> bool:
        """Whether a model would compute on the CPU."""
        from zipllm.machine import best_device

        return self.device == "cpu" or (self.device == "auto" and best_device() == "cpu")

    @cached_property
    def _ready_device(self) -> str:
        from zipllm.machine import best_device, choose_threads

        if self.threads:
            choose_threads(self.threads)
        if self.device == "cpu":
            return "cpu"
        device = best_device()
        if device == "cpu" and self.device == "cuda":
            raise UsageError("--device cuda: no CUDA device can be used here")
        return device


@dataclass(frozen=True)
class CompressSettings:
    """The coding flags of ``compress``; None and 0 mean the level's own choice."""

    level: int = 6
    history: bool = True
    block_size: int | None = None
    lanes: int = 0
    verify: bool = True
    sample: bool = True
    embed_model: bool = False
    same_machine: bool = False


def compressor(machine: Machine, settings: CompressSettings) -> Work:
    """Return the work of ``compress``.

    Raises:
        UsageError: a setting is out of range.
        ModelError: the model named by the user cannot be found.
    """
    from zipllm.codec.levels import encode_options, level_of

    if machine.is_huggingface and not settings.same_machine:
        raise UsageError(
            "a Hugging Face model computes in floats, and its archive decodes on this machine only; if that will do, "
            "say --same-machine"
        )
    if settings.same_machine and not machine.is_huggingface:
        raise UsageError(
            "--same-machine is for a Hugging Face model (--model hf:FOLDER); other archives decode anywhere"
        )
    machine.check()
    options = encode_options(
        settings.level,
        history=settings.history,
        block_size=settings.block_size,
        lanes=settings.lanes or None,
        verify=settings.verify,
        sample=settings.sample,
        embed_model=settings.embed_model,
        same_machine=settings.same_machine,
    )
    model = machine.model or level_of(settings.level).model
    engine = replace(machine, model=model).engine if model is not None else None

    def work(source: BinaryIO, sink: BinaryIO | None, progress: "ProgressCallback | None") -> "Summary":
        from zipllm.codec.encoder import compress_stream

        assert sink is not None, "compressing writes somewhere"
        several = replace(options, workers=machine.workers(on_cpu=engine is not None and machine.on_cpu))
        return compress_stream(source, sink, engine=engine, options=several, progress=progress)

    return work


def decompressor(machine: Machine, bounds: Limits) -> Work:
    """Return the work of ``decompress`` and ``test``.

    Raises:
        ModelError: the model named by the user cannot be found.
    """
    machine.check()

    def work(source: BinaryIO, sink: BinaryIO | None, progress: "ProgressCallback | None") -> "Summary":
        from zipllm.codec.decoder import decompress_stream

        return decompress_stream(source, sink, options=machine.decode_options(bounds), progress=progress)

    return work


def extractor(machine: Machine, bounds: Limits, start: int, stop: int | None) -> Work:
    """Return the work of ``decompress --range``; errors as ``decompressor``."""
    machine.check()

    def work(source: BinaryIO, sink: BinaryIO | None, progress: "ProgressCallback | None") -> "Summary":
        from zipllm.codec.reading.extract import extract_range

        assert sink is not None, "a range is written somewhere"
        options = machine.decode_options(bounds)
        return extract_range(_seekable(source), sink, start, stop, options=options, progress=progress)

    return work


def salvager(machine: Machine, bounds: Limits) -> Work:
    """Return the work of ``decompress --salvage``; errors as ``decompressor``."""
    machine.check()

    def work(source: BinaryIO, sink: BinaryIO | None, progress: "ProgressCallback | None") -> "Summary":
        from zipllm.codec.reading.salvage import salvage_stream

        assert sink is not None, "what is salvaged is written somewhere"
        options = machine.decode_options(bounds)
        return salvage_stream(_seekable(source), sink, options=options, fallback=machine.engine, progress=progress)

    return work


def explainer(machine: Machine, by: "By", *, history: bool) -> Explain:
    """Return the work of ``explain``; the file is coded as ``compress`` does it at its default level."""

    def work(raw: bytes, step: Callable[[float], None] | None) -> "Explanation":
        from zipllm.codec.levels import encode_options
        from zipllm.measure.explanation import explain_bytes

        options = encode_options(history=history, same_machine=machine.is_huggingface)
        return explain_bytes(raw, machine.engine, by=by, options=options, step=step)

    return work


def _seekable(source: BinaryIO) -> BinaryIO:
    if not source.seekable():
        raise FileError("is a pipe; a range and what is whole can only be looked for in a file")
    return source


def limits(max_output: int | None, max_memory: int | None) -> Limits:
    """Return what archives are held to.

    Args:
        max_output: bytes written in all; None for the default.
        max_memory: bytes of any one thing that is held in memory: a block, its payload, a model file.
    """
    if max_memory is None:
        return Limits(output=max_output)
    return Limits(output=max_output, block_raw=max_memory, block_payload=max_memory, model_file=max_memory)


def content_size(source: Source) -> int | None:
    """Return how many bytes an archive decodes to, from its headers, or None; the source is left at its beginning.

    Only for the progress bar: damage is left for the decoder to find, which says where it is.
    """
    if not source.is_regular_file:
        return None
    total = 0
    with contextlib.suppress(ZipllmError):
        total = sum(item.record.raw_size for item in scan(source.stream) if isinstance(item.record, BlockHeader))
    source.stream.seek(0)
    return total or None


def evaluation_options(settings: CompressSettings, *, same_machine: bool = False) -> "EncodeOptions":
    """Return the options of the archive whose cost is asked for; ``same_machine`` as in ``EncodeOptions``.

    Raises:
        UsageError: a setting is out of range.
    """
    from zipllm.codec.levels import encode_options

    lanes = settings.lanes or None
    return encode_options(settings.level, block_size=settings.block_size, lanes=lanes, same_machine=same_machine)


def model_names() -> dict[bytes, str]:
    """Return the name of every model that can be found here, by id."""
    from zipllm.model_file.store import ModelStore

    return {model.model_id: model.name for model in reversed(ModelStore.default().models())}
