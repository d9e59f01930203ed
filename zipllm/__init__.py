"""Lossless compression by prediction: a small Transformer, an exact integer engine and a range coder.

    >>> import zipllm
    >>> archive = zipllm.compress(b"to be or not to be")
    >>> zipllm.decompress(archive)
    b'to be or not to be'

    >>> with zipllm.open("notes.txt.zllm", "wt", encoding="utf-8") as file:
    ...     _ = file.write("to be or not to be")

The functions are shaped like those of ``gzip`` and ``lzma``. Errors are the tree in ``zipllm.errors``.
Importing this package is cheap: torch and numpy are loaded when the first call needs them.
"""

import concurrent.futures.thread as _  # noqa: F401  # nothing can import it once the main thread has ended
import io as _io
import os as _os
from collections.abc import Callable as _Callable
from typing import IO as _IO
from typing import TYPE_CHECKING, Any, overload
from typing import Literal as _Literal
from typing import TypedDict as _TypedDict
from typing import Union as _Union

from zipllm.errors import (
    CorruptData,
    FileError,
    LimitExceeded,
    MissingPackage,
    ModelError,
    ModelInvalid,
    ModelMismatch,
    ModelNotFound,
    UnsupportedData,
    UsageError,
    VerificationFailed,
    ZipllmError,
)

if TYPE_CHECKING:
    from typing import Unpack

    from zipllm.codec.decoder import DecodeOptions
    from zipllm.codec.options import EncodeOptions
    from zipllm.codec.reading.archive_file import ZipllmFile
    from zipllm.engine.engine import Engine

__version__ = "0.1.0.dev0"

__all__ = [
    "CorruptData",
    "FileError",
    "LimitExceeded",
    "MissingPackage",
    "ModelError",
    "ModelInvalid",
    "ModelMismatch",
    "ModelNotFound",
    "UnsupportedData",
    "UsageError",
    "VerificationFailed",
    "ZipllmError",
    "ZipllmFile",
    "__version__",
    "compress",
    "decompress",
    "load_model",
    "open",
]

ModelChoice = _Union["Engine", str, _os.PathLike[str], None]
"""A loaded model, or its name, path or id, or None for the default model."""

_File = str | bytes | _os.PathLike[str] | _os.PathLike[bytes] | _IO[bytes]
_BinaryMode = _Literal["r", "rb", "w", "wb", "x", "xb", "a", "ab"]
_TextMode = _Literal["rt", "wt", "xt", "at"]


class _OpenOptions(_TypedDict, total=False):
    """The options of ``open`` that do not change what it returns."""

    model: ModelChoice
    level: int
    history: bool
    block_size: int | None
    lanes: int | None
    sample: bool
    verify: bool
    embed_model: bool
    same_machine: bool
    max_output: int | None


def compress(
    data: bytes | bytearray | memoryview,
    *,
    model: ModelChoice = None,
    level: int = 6,
    history: bool = True,
    block_size: int | None = None,
    lanes: int | None = None,
    sample: bool = True,
    verify: bool = True,
    embed_model: bool = False,
    same_machine: bool = False,
) -> bytes:
    """Compress bytes into an archive.

    All cores are used: a model on the processor spreads one block over them; otherwise each core codes a block.

    Args:
        data: any bytes, possibly none.
        model: the model that predicts; loaded only if a part of the data profits from it.
        level: 1 to 9. From 4 on, a model predicts together with the history of the data: ``nano`` at 4 and 5, ``small``
            at 6, ``base`` from 7 on. 1 to 3 use the history alone, several times faster. ``model`` overrides the
            level's model.
        history: False lets the model predict alone.
        block_size: bytes coded together, at most 16 MiB; None takes the level's.
        lanes: streams coded side by side; None chooses by size.
        sample: False tries the model on every block, even on incompressible ones.
        verify: decode and compare before returning.
        embed_model: put the model file into the archive, which then decodes with nothing else.
        same_machine: allow a Hugging Face model (``hf:FOLDER``). It computes in floats, so the archive decodes only on
            this machine, with these libraries and settings.

    Raises:
        ModelError: the model is missing or unusable.
        VerificationFailed: the archive does not decode to the data.
        UsageError: an option is out of range.
    """
    from zipllm.codec.encoder import compress_stream
    from zipllm.container.streams import byte_view

    sink = _io.BytesIO()
    engine, options = _encoding(
        model,
        level=level,
        history=history,
        block_size=block_size,
        lanes=lanes,
        sample=sample,
        verify=verify,
        embed_model=embed_model,
        same_machine=same_machine,
    )
    view = byte_view(data)
    compress_stream(_io.BytesIO(view), sink, engine=engine, options=options, original_size=view.nbytes)
    return sink.getvalue()


def decompress(
    data: bytes | bytearray | memoryview, *, model: ModelChoice = None, max_output: int | None = None
) -> bytes:
    """Return the original bytes of an archive, or of several concatenated ones.

    Args:
        data: the archive.
        model: None finds the model that the archive names among those installed, or in the archive.
        max_output: limit on the bytes returned; None: 1 GiB or 1000 times the archive, whichever is more.

    Raises:
        CorruptData: damaged, truncated, or not an archive.
        UnsupportedData: of a version or method unknown to this zipllm.
        LimitExceeded: more than ``max_output`` bytes, or another limit.
        ModelError: the model is missing, unusable, or not the one the archive names.
    """
    from zipllm.codec.decoder import decompress_stream

    sink = _io.BytesIO()
    decompress_stream(_io.BytesIO(data), sink, options=_decode_options(model, max_output))
    return sink.getvalue()


@overload
def open(file: _File, mode: _BinaryMode = "rb", **options: "Unpack[_OpenOptions]") -> "ZipllmFile": ...
@overload
def open(
    file: _File,
    mode: _TextMode,
    *,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    **options: "Unpack[_OpenOptions]",
) -> _io.TextIOWrapper: ...
@overload
def open(
    file: _File,
    mode: str,
    *,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    **options: "Unpack[_OpenOptions]",
) -> "ZipllmFile | _io.TextIOWrapper": ...
def open(
    file: _File,
    mode: str = "rb",
    *,
    model: ModelChoice = None,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    max_output: int | None = None,
    **options: Any,
) -> "ZipllmFile | _io.TextIOWrapper":
    """Open an archive as a file of its original content.

    Args:
        file: a path, or a binary file object, which stays open when the archive is closed.
        mode: "r", "w", "x" (must not exist) or "a" (adds an archive), with "b" (the default) or "t" for text.
        model: as ``compress`` and ``decompress``.
        encoding: for text, as are ``errors`` and ``newline``; see ``io.TextIOWrapper``.
        errors: see ``encoding``.
        newline: see ``encoding``.
        max_output: for reading; see ``decompress``.
        options: for writing: ``level``, ``history``, ``block_size``, ``lanes``, ``sample``, ``verify``, ``embed_model``
            and ``same_machine``; see ``compress``.

    Raises:
        UsageError: an unknown mode, or text options for a binary file.
        OSError: the file cannot be opened.
    """
    from zipllm.codec.reading.archive_file import ZipllmFile, holds_content, text_file

    text = "t" in mode
    if text and "b" in mode:
        raise UsageError(f"mode {mode!r} asks for text and for bytes")
    if not text and (encoding is not None or errors is not None or newline is not None):
        raise UsageError("encoding, errors and newline are for text modes")
    engine, encode = _encoding(model, **options)
    decode = _decode_options(model, max_output)
    binary_mode = mode.replace("t", "", 1)
    begins = text and (binary_mode in ("w", "x") or (binary_mode == "a" and not holds_content(file)))
    binary = ZipllmFile(file, binary_mode, engine=engine, encode=encode, decode=decode)
    return text_file(binary, encoding, errors, newline, begins=begins) if text else binary


def load_model(model: str | _os.PathLike[str] | None = None, *, device: str = "cpu") -> "Engine":
    """Load a model once, for many calls of ``compress``, ``decompress`` and ``open``.

    Args:
        model: name, path or id (hexadecimal); None for the default model; ``hf:FOLDER`` for a Hugging Face model, and
            ``hub:OWNER/NAME`` for one from the hub, downloaded if necessary.
        device: where it computes: "cpu" or "cuda". Archives are the same for all devices, except those of ``hf:``.

    Raises:
        ModelNotFound: there is no such model.
        ModelInvalid: its file is damaged, it computes wrongly on this machine, or it is not causal.
        UsageError: ``hf:`` without the extra ``hf``; a device that is unknown or not there.
    """
    from zipllm.engine.engine import load_engine
    from zipllm.machine import best_device

    if device not in ("cpu", "cuda"):
        raise UsageError(f"device {device!r} is neither 'cpu' nor 'cuda'")
    if device == "cuda" and best_device() != "cuda":
        raise UsageError("device 'cuda': no CUDA device can be used here")
    return load_engine(None if model is None else _os.fspath(model), device)


def _encoding(
    model: ModelChoice, *, level: int = 6, history: bool = True, **options: Any
) -> "tuple[Engine | _Callable[[], Engine] | None, EncodeOptions]":
    """Return the model to compress with, and the level's options overridden by the caller's.

    A model that is not loaded yet will compute on the processor, where all threads share one block.
    """
    from zipllm.codec.levels import encode_options, level_of
    from zipllm.codec.options import worker_count

    chosen = level_of(level).model if model is None else _checked(model)
    engine = (lambda: load_model(chosen)) if isinstance(chosen, str | _os.PathLike) else chosen
    one_block = engine is not None and not getattr(engine, "side_by_side", False)
    return engine, encode_options(level, history=history, workers=worker_count(one_block=one_block), **options)


def _checked(model: ModelChoice) -> ModelChoice:
    """Return a model; raises ``ModelError`` for a name or path of none."""
    if isinstance(model, str | _os.PathLike):
        from zipllm.engine.engine import require_model

        require_model(_os.fspath(model))
    return model


def _decode_options(model: ModelChoice, max_output: int | None) -> "DecodeOptions":
    from zipllm.codec.decoder import DecodeOptions
    from zipllm.codec.options import worker_count
    from zipllm.container import Limits
    from zipllm.engine.engine import find_engine

    def engine(model_id: bytes) -> "Engine":
        if model is None:
            return find_engine(model_id)
        return load_model(model) if isinstance(model, str | _os.PathLike) else model

    _checked(model)
    return DecodeOptions(engines=engine, limits=Limits(output=max_output), workers=worker_count())


def __getattr__(name: str) -> Any:
    """Load ``ZipllmFile`` when it is first asked for, since it needs numpy."""
    if name == "ZipllmFile":
        from zipllm.codec.reading.archive_file import ZipllmFile

        return ZipllmFile
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
