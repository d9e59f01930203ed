"""Text from a codec without a model: bytes that lengthen the archive least.

A codec with lengths ``l`` acts as a model with probabilities ``2**-l`` (Delétang et al., "Language Modeling Is
Compression", 2024, section 3.4): each byte is drawn with probability proportional to ``2**-(8 * l(text + byte))``. The
lengths are whole bytes, so most of the 256 candidates are equal, and the text is accordingly poor.
"""

from collections.abc import Callable, Iterator

import numpy as np

from zipllm.bench.codecs import open_codec
from zipllm.bench.libraries import KINDS
from zipllm.bench.protocol import parse_spec
from zipllm.errors import LimitExceeded, UsageError
from zipllm.generate.sampling import Randomness, draw

MOST_PROMPT = 16 << 10
"""Limit in bytes; each further byte compresses the whole text 256 times."""

_BYTES = 256
_WEIGHT_BITS = 48


def codec_bytes(name: str, prompt: bytes, seed: int) -> Iterator[bytes]:
    """Yield bytes without end; they depend only on the seed and the version of the codec's library.

    Args:
        name: of a conventional codec, such as ``gzip`` or ``ppmd:5``.
        prompt: the text so far.
        seed: of the randomness.

    Raises:
        UsageError: there is no such codec or setting.
        MissingPackage: its library is not installed.
        LimitExceeded: the prompt is too long.
    """
    spec = parse_spec(name)
    known = [kind for kind in KINDS if kind != "copy"]
    if spec.name not in known:
        raise UsageError(f"no codec called {spec.name!r} that text can be drawn from (known: {', '.join(known)})")
    if len(prompt) > MOST_PROMPT:
        raise LimitExceeded(f"a prompt for a codec may have {MOST_PROMPT >> 10} KiB, this one is longer")
    return _drawn(open_codec(spec).compress, prompt, Randomness(seed))


def _drawn(compress: Callable[[bytes], bytes], text: bytes, randomness: Randomness) -> Iterator[bytes]:
    while True:
        lengths = np.array([len(compress(text + bytes([value]))) for value in range(_BYTES)])
        longer = 8 * (lengths - lengths.min())
        weights = np.where(longer <= _WEIGHT_BITS, 1 << np.maximum(_WEIGHT_BITS - longer, 0), 0)
        byte = bytes([draw(weights, randomness)])
        yield byte
        text += byte
