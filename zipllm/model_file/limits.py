"""How large a model may be before it is refused, in one place.

Each bound is checked against a declared size before anything of that size is allocated.
"""

from dataclasses import dataclass

MAX_HEADER_BYTES = 1 << 20
"""JSON header of the file: 4096 tensors of about 100 bytes each, and the metadata."""

MAX_METADATA_BYTES = 64 << 10
MAX_METADATA_DEPTH = 4
MAX_CARD_BYTES = 16 << 10
MAX_TOKENIZER_BYTES = 16 << 20
MAX_TOKENIZER_DEPTH = 4
MAX_TENSORS = 4096
MAX_TENSOR_NAME_BYTES = 256
MAX_DIMENSIONS = 8


@dataclass(frozen=True)
class ModelLimits:
    """Bounds that a caller may raise; past them ``LimitExceeded``, past any other bound ``ModelInvalid``.

    Attributes:
        file_bytes: size of the model file, which also bounds the memory its tensors take.
        state_bytes: memory of the attention window (keys and values of all layers) for one lane.
    """

    file_bytes: int = 4 << 30
    state_bytes: int = 1 << 30
