"""A model as one safetensors file: integer tensors, tokenizer, config, card and self-test.

Saving the same model twice gives the same bytes. Loading trusts nothing: the header is checked against
limits, then the set, types and shapes of the tensors against the config, then the content against the id
the file claims, and last the values against the bounds under which no accumulator can overflow. A file
that passes can be wrong about its use, never about its arithmetic. Nothing in it can run code.

The tokenizer's canonical JSON is one more tensor of bytes, so that the header stays small enough to list
many models quickly.
"""

import io
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from zipllm.errors import FileError, ModelInvalid
from zipllm.model.architecture import architecture_of
from zipllm.model.config import NetworkConfig
from zipllm.model.parameters import IntegerParameters, fits, shown
from zipllm.model_file.canonical_json import dump_json, load_json
from zipllm.model_file.card import Card
from zipllm.model_file.identity import compute_model_id
from zipllm.model_file.layout import Header, dtype_name, little_endian, read_array, read_header, write_header
from zipllm.model_file.limits import MAX_TOKENIZER_BYTES, MAX_TOKENIZER_DEPTH, ModelLimits
from zipllm.model_file.self_test import SelfTest, make_self_test, run_self_test, self_test_from_dict
from zipllm.model_file.summary import Metadata, dump_metadata, naming, open_model_file, parse_metadata
from zipllm.temporary import replacing
from zipllm.tokenizer import Tokenizer, tokenizer_from_dict

TOKENIZER_TENSOR = "tokenizer.json"


@dataclass(frozen=True, eq=False)
class Model:
    """Everything needed to code with a model; made by ``build_model`` or by loading a file.

    Attributes:
        config: shape of the network.
        tokenizer: bytes to token ids; its vocabulary has ``config.vocabulary_size`` tokens.
        integer: the network in integers.
        card: provenance and measurements.
        self_test: what the network must compute.
        model_id: SHA-256 of config, tokenizer and tensors; see ``zipllm.model_file.identity``.
    """

    config: NetworkConfig
    tokenizer: Tokenizer
    integer: IntegerParameters
    card: Card
    self_test: SelfTest
    model_id: bytes


def build_model(config: NetworkConfig, tokenizer: Tokenizer, integer: IntegerParameters, card: Card) -> Model:
    """Return a model ready to be saved.

    Args:
        config: shape of the network.
        tokenizer: its vocabulary has ``config.vocabulary_size`` tokens.
        integer: the exported network, of the same shape, on any device.
        card: provenance and measurements; not part of the id.

    Raises:
        ValueError: the tokenizer and the config disagree about the vocabulary.
    """
    if len(tokenizer.vocabulary) != config.vocabulary_size:
        raise ValueError(
            f"the tokenizer has {len(tokenizer.vocabulary)} tokens, the config a vocabulary of {config.vocabulary_size}"
        )
    model_id = compute_model_id(config, tokenizer_json(tokenizer), integer.values)
    self_test = make_self_test(config, architecture_of(config).reference(integer))
    return Model(config, tokenizer, integer, card, self_test, model_id)


def check_reference(model: Model) -> None:
    """Run the self-test on the reference network, once per process. Raises ``ModelInvalid``."""
    network = architecture_of(model.config).reference(model.integer)
    run_self_test(model.model_id, model.self_test, model.config, "reference", network)


def model_to_bytes(model: Model) -> bytes:
    """Return the model file; equal models give equal bytes."""
    return b"".join(_pieces(model))


def save_model(model: Model, path: Path) -> None:
    """Write a model file, replacing an existing one in a single step (a reader sees the old or the new).

    Raises:
        FileError: it cannot be written; nothing is left behind.
    """
    try:
        with replacing(Path(path)) as (stream, _):
            stream.writelines(_pieces(model))
    except OSError as error:
        raise FileError(f"cannot write model file {os.fspath(path)!r}: {error.strerror}") from error


def load_model_file(path: Path, limits: ModelLimits | None = None) -> Model:
    """Load and verify a model file.

    Raises:
        ModelNotFound: nothing is there.
        ModelInvalid: damaged, hostile, or not a model file; the message says which check failed.
        LimitExceeded: larger than ``limits``.
        FileError: it cannot be read.
    """
    with open_model_file(path) as (stream, size), naming(path):
        return _load(stream, size, limits or ModelLimits())


def model_from_bytes(data: bytes, limits: ModelLimits | None = None, source: str = "embedded model") -> Model:
    """Load and verify a model file held in memory; errors as in ``load_model_file``, naming ``source``."""
    with naming(source):
        return _load(io.BytesIO(data), len(data), limits or ModelLimits())


def tokenizer_json(tokenizer: Tokenizer) -> bytes:
    """Canonical JSON of a tokenizer, as stored and hashed."""
    return dump_json(tokenizer.to_dict())


def _pieces(model: Model) -> Iterator[bytes | memoryview]:
    arrays = dict(model.integer.values)
    arrays[TOKENIZER_TENSOR] = np.frombuffer(tokenizer_json(model.tokenizer), dtype=np.uint8)
    metadata = Metadata(model.config, model.card, model.model_id, model.self_test.to_dict())
    shapes = {name: (dtype_name(array.dtype), array.shape) for name, array in arrays.items()}
    header, order = write_header(shapes, dump_metadata(metadata))
    yield header
    for name in order:
        yield little_endian(arrays[name])


def _load(stream: BinaryIO, size: int, limits: ModelLimits) -> Model:
    header = read_header(stream, size, limits)
    metadata = parse_metadata(header.metadata, limits)
    config = metadata.config
    self_test = self_test_from_dict(metadata.self_test, config)
    _check_tensor_set(header, config)
    arrays = {entry.name: read_array(stream, entry) for entry in header.entries}
    text = arrays.pop(TOKENIZER_TENSOR).tobytes()
    found = compute_model_id(config, text, arrays)
    if found != metadata.model_id:
        raise ModelInvalid(
            f"damaged: its content has the id {found.hex()[:16]}..., but it says {metadata.model_id.hex()[:16]}..."
        )
    tokenizer = _load_tokenizer(text, config)
    integer = architecture_of(config).parameters(config, arrays)
    return Model(config, tokenizer, integer, metadata.card, self_test, found)


def _check_tensor_set(header: Header, config: NetworkConfig) -> None:
    """Refuse missing, extra, mistyped and misshapen tensors, before any is read."""
    entries = {entry.name: entry for entry in header.entries}
    tokenizer = entries.pop(TOKENIZER_TENSOR, None)
    if tokenizer is None or tokenizer.dtype != "U8" or len(tokenizer.shape) != 1:
        raise ModelInvalid(f"it has no tokenizer (a row of bytes called {TOKENIZER_TENSOR})")
    if tokenizer.shape[0] > MAX_TOKENIZER_BYTES:
        raise ModelInvalid(f"tokenizer of {tokenizer.shape[0]} bytes, more than the {MAX_TOKENIZER_BYTES} allowed")
    expected = config.specification()
    for problem, names in (("missing", expected.keys() - entries.keys()), ("extra", entries.keys() - expected.keys())):
        if names:
            raise ModelInvalid(f"{problem} tensors for this config: {', '.join(sorted(names)[:5])}")
    for name, (dtype, shape) in expected.items():
        entry, kind = entries[name], dtype_name(np.dtype(dtype))
        if entry.dtype != kind or not fits(entry.shape, shape):
            found = f"{entry.dtype} {list(entry.shape)}"
            raise ModelInvalid(f"tensor {name} is {found}, but the config wants {kind} {shown(shape)}")


def _load_tokenizer(text: bytes, config: NetworkConfig) -> Tokenizer:
    description: Any = load_json(text, what="tokenizer", max_bytes=MAX_TOKENIZER_BYTES, max_depth=MAX_TOKENIZER_DEPTH)
    try:
        tokenizer = tokenizer_from_dict(description)
    except ValueError as error:
        raise ModelInvalid(f"tokenizer: {error}") from error
    if tokenizer_json(tokenizer) != text:
        raise ModelInvalid("tokenizer is not stored in canonical form")
    if len(tokenizer.vocabulary) != config.vocabulary_size:
        raise ModelInvalid(
            f"tokenizer has {len(tokenizer.vocabulary)} tokens, but the config says {config.vocabulary_size}"
        )
    return tokenizer
