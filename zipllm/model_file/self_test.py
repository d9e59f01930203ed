"""A few tokens and the hash of the frequencies they must give, stored in every model file.

Every step of the integer model is exact, so the hash is the same on every machine; a machine, driver or
library on which it differs would write archives that nobody else can read. It is refused before the first
block instead. Each engine (the reference, a compiled kernel, a GPU) is tried once per process and model.
"""

import hashlib
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from zipllm.errors import ModelInvalid
from zipllm.model.config import NetworkConfig
from zipllm.model_file.summary import digest_from_hex

LENGTH = 24
"""Tokens in a new self-test: some milliseconds of work."""

MAX_LENGTH = 256
"""Tokens accepted from a file; with a vocabulary of 65536, 64 MiB of frequencies."""

SINGLE_STEPS = 4
"""Tokens that are fed one by one at the end, the others in one pass, so that both ways of computing are tested."""


class Network(Protocol):
    """What a self-test runs; see `zipllm.model.architecture.IntegerNetwork`."""

    def start(self, lanes: int) -> Any:
        """Return a new state."""

    def predict(self, state: Any, tokens: NDArray[np.int32], lanes: NDArray[np.int32]) -> NDArray[np.int32]:
        """Return cumulative frequencies ``[n, T, V + 1]``."""


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


def make_self_test(config: NetworkConfig, network: Network) -> SelfTest:
    """Choose tokens spread over the vocabulary and record what the reference network makes of them."""
    spread = (37 + 40_503 * step * step for step in range(1, LENGTH))
    tokens = (config.start_token, *(value % config.vocabulary_size for value in spread))
    return SelfTest(tokens, _digest(network, tokens, config))


def self_test_from_dict(value: object, config: NetworkConfig) -> SelfTest:
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


def run_self_test(model_id: bytes, test: SelfTest, config: NetworkConfig, name: str, network: Network) -> None:
    """Refuse a network whose frequencies differ; does nothing when it has passed in this process before.

    Args:
        model_id: identity of the model.
        test: the self-test from its file.
        config: its shape.
        name: of the implementation, for the message ("reference on cpu", "cpu kernels").
        network: computes the model.

    Raises:
        ModelInvalid: the frequencies are not those the file records.
    """
    if (model_id, name, test) in _passed:
        return
    if _digest(network, test.tokens, config) != test.sha256:
        raise ModelInvalid(
            f"model {model_id.hex()[:12]} failed its self-test on engine {name!r}: this machine or one of its "
            "libraries computes other numbers than the model file records, so archives would not decode elsewhere. "
            "Try another device (--device cpu), or another version of torch or numba."
        )
    _passed.add((model_id, name, test))


def _digest(network: Network, tokens: tuple[int, ...], config: NetworkConfig) -> bytes:
    row = np.array([tokens], dtype=np.int32)
    together = max(1, len(tokens) - SINGLE_STEPS)
    pieces = [row[:, :together], *(row[:, at : at + 1] for at in range(together, len(tokens)))]
    state, lane = network.start(1), np.zeros(1, dtype=np.int32)
    cumulative = np.concatenate([network.predict(state, piece, lane)[0].copy() for piece in pieces])
    expected = (len(tokens), config.vocabulary_size + 1)
    assert cumulative.shape == expected, f"network gave {cumulative.shape}, not {expected}"
    return hashlib.sha256(np.ascontiguousarray(cumulative, dtype="<i4").data).digest()
