"""Engines over counting predictors, and short forms of compress and decompress."""

import hashlib
import io
from functools import cache
from typing import Any

from zipllm.codec.decoder import DecodeOptions, decompress_stream
from zipllm.codec.encoder import compress_stream
from zipllm.codec.options import EncodeOptions
from zipllm.container import Coding, scan
from zipllm.engine.engine import Engine
from zipllm.predictor.base import Predictor
from zipllm.predictor.ngram import NgramPredictor
from zipllm.progress import Summary
from zipllm.tokenizer.bpe import train_bpe
from zipllm.tokenizer.byte import ByteTokenizer

TEXT = (
    b"It is a truth universally acknowledged, that a single man in possession of a good fortune, must be in want "
    b"of a wife. However little known the feelings or views of such a man may be on his first entering a "
    b"neighborhood, this truth is so well fixed in the minds of the surrounding families, that he is considered "
    b"the rightful property of some one or other of their daughters.\n"
)


def named(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()


@cache
def byte_engine() -> Engine:
    tokenizer = ByteTokenizer()
    return Engine(named("byte"), tokenizer, NgramPredictor(tokenizer.vocabulary), lambda: b"byte model file")


@cache
def bpe_engine() -> Engine:
    """Tokens of several bytes, tokens that are prefixes of others."""
    tokenizer = train_bpe([TEXT], 320)
    return Engine(named("bpe"), tokenizer, NgramPredictor(tokenizer.vocabulary))


def engine_with(predictor: Predictor) -> Engine:
    return Engine(named("other"), ByteTokenizer(), predictor)


def compress(data: bytes, engine: Any = None, **options: Any) -> bytes:
    """By the model alone everywhere, unless the options say otherwise."""
    options.setdefault("fallback", False)
    options.setdefault("history_bits", None)
    sink = io.BytesIO()
    compress_stream(io.BytesIO(data), sink, engine=engine or byte_engine(), options=EncodeOptions(**options))
    return sink.getvalue()


def decompress(archive: bytes, engine: Engine | None = None, **options: Any) -> bytes:
    sink = io.BytesIO()
    decode(archive, sink, engine, **options)
    return sink.getvalue()


def decode(archive: bytes, sink: Any, engine: Engine | None = None, progress: Any = None, **options: Any) -> Summary:
    return decompress_stream(io.BytesIO(archive), sink, options=decode_options(engine, **options), progress=progress)


def decode_options(engine: Engine | None = None, **options: Any) -> DecodeOptions:
    """Options that find one engine under every model id."""
    found = engine or byte_engine()
    return DecodeOptions(**({"engines": lambda model_id: found} | options))


def codings(archive: bytes) -> list[Coding]:
    """The coding of every block."""
    headers = [item.record for item in scan(io.BytesIO(archive))]
    return [header.coding for header in headers if hasattr(header, "coding")]
