"""A few tokens and the hash of the frequencies they must give, stored in every model file.

Every step of the integer model is exact, so the hash is the same on every machine; a machine, driver or
library on which it differs would write archives that nobody else can read. It is refused before the first
block instead. Each engine (the reference, a compiled kernel, a GPU) is tried once per process and model.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zipllm.errors import ModelInvalid
from zipllm.model.config import ModelConfig
from zipllm.model_file.metadata import digest_from_hex

LENGTH = 24
"""Tokens in a new self-test: some milliseconds of work."""

MAX_LENGTH = 256
"""Tokens accepted from a file; with a vocabulary of 65536, 64 MiB of frequencies."""

Engine = Callable[[NDArray[np.int32]], NDArray[np.int32]]
"""Token ids ``[T]``, the first of a stream, to the cumulative frequencies ``[T, V + 1]`` after each."""


@dataclass(frozen=True)
class SelfTest:
    """What the model must compute.

    Attributes:
        tokens: token ids of one lane; the first is the start token.
        sha256: digest of the cumulative frequencies ``[T, V + 1]`` as little-endian int32, row after row.
    """

    tokens: tuple[int, ...]
    sha256: bytes

    def to_dict(self) -> dict[str, Any]:
        """JSON-able form."""
        return {"tokens": list(self.tokens), "sha256": self.sha256.hex()}


_passed: set[tuple[bytes, str, SelfTest]] = set()


def make_self_test(config: ModelConfig, run: Engine) -> SelfTest:
    """Choose tokens spread over the vocabulary and record what ``run`` makes of them."""
    spread = (37 + 40_503 * step * step for step in range(1, LENGTH))
    tokens = (config.start_token, *(value % config.vocabulary_size for value in spread))
    return SelfTest(tokens, _digest(run, tokens, config))


def self_test_from_dict(value: object, config: ModelConfig) -> SelfTest:
    """Restore a self-test from a model file. Raises ``ModelInvalid`` when it cannot be one."""
    if not isinstance(value, dict) or set(value) != {"tokens", "sha256"}:
        raise ModelInvalid("self_test does not have exactly the fields tokens and sha256")
    tokens, digest = value["tokens"], value["sha256"]
    if not isinstance(tokens, list) or not 1 <= len(tokens) <= MAX_LENGTH:
        raise ModelInvalid(f"self_test does not have 1 to {MAX_LENGTH} tokens")
    if any(type(token) is not int or not 0 <= token <= config.start_token for token in tokens):
        raise ModelInvalid("self_test has a token outside the vocabulary")
    if tokens[0] != config.start_token or config.start_token in tokens[1:]:
        raise ModelInvalid("self_test does not begin, and only begin, with the start token")
    return SelfTest(tuple(tokens), digest_from_hex(digest, "self_test.sha256"))


def run_self_test(model_id: bytes, test: SelfTest, config: ModelConfig, engine: str, run: Engine) -> None:
    """Refuse an engine whose frequencies differ; does nothing when it has passed in this process before.

    Args:
        model_id: identity of the model that ``run`` computes.
        test: the self-test from its file.
        config: its shape.
        engine: name of the implementation, for the message ("reference", "cpu kernel, 2 threads", "cuda").
        run: computes cumulative frequencies; see ``Engine``. Running part of the tokens as one pass and the
            rest step by step covers both code paths.

    Raises:
        ModelInvalid: the frequencies are not those the file records.
    """
    if (model_id, engine, test) in _passed:
        return
    if _digest(run, test.tokens, config) != test.sha256:
        raise ModelInvalid(
            f"model {model_id.hex()[:12]} failed its self-test on engine {engine!r}: this machine or one of its "
            "libraries computes other numbers than the model file records, so archives would not decode elsewhere. "
            "Try another device (--device cpu), or another version of torch or numba."
        )
    _passed.add((model_id, engine, test))


def _digest(run: Engine, tokens: tuple[int, ...], config: ModelConfig) -> bytes:
    cumulative = run(np.array(tokens, dtype=np.int32))
    expected = (len(tokens), config.vocabulary_size + 1)
    assert cumulative.shape == expected, f"engine gave {cumulative.shape}, not {expected}"
    return hashlib.sha256(np.ascontiguousarray(cumulative, dtype="<i4").data).digest()
