"""Records the payloads that only zipllm can make: python -m tests.vectors.make_recorded.

Words of blocks coded by prediction depend on a model's arithmetic or on the mixer, which the specification defines by
its modules. They were written once and are compared ever after: what is recorded must decode, and the same words must
be made again. Run this only for another version of the format, like ``tests.golden.make_golden``.
"""

from collections.abc import Iterator

from tests.golden.make_golden import tiny
from tests.vectors.good_predicted import HISTORY_BLOCKS, MODEL_BLOCKS, MODEL_FILE, SAMPLE_BLOCKS, Predicted
from tests.vectors.payloads import RECORDED
from zipllm.codec.block.predicted_block import encode_history_block, encode_model_block
from zipllm.coder.range_coder import PROBABILITY_BITS
from zipllm.container import CodingParameters
from zipllm.container.samples import Layout
from zipllm.media.coding import encode


def payloads() -> Iterator[tuple[str, bytes]]:
    """Names and contents of all files in the folder ``recorded``."""
    model_file = tiny().model_file
    assert model_file is not None
    yield MODEL_FILE, model_file()
    for block in HISTORY_BLOCKS:
        yield block.file, encode_history_block(block.content, _parameters(block), None)
    for sampled in SAMPLE_BLOCKS:
        yield sampled.file, encode(sampled.content, Layout(*sampled.layout))
    for block in MODEL_BLOCKS:
        yield block.file, encode_model_block(tiny(), block.content, _parameters(block), None)


def _parameters(block: Predicted) -> CodingParameters:
    return CodingParameters(probability_bits=PROBABILITY_BITS, **({"lanes": 1} | block.fields))


def main() -> None:
    """Write the folder anew."""
    RECORDED.mkdir(exist_ok=True)
    for old in RECORDED.iterdir():
        old.unlink()
    for name, content in payloads():
        (RECORDED / name).write_bytes(content)


if __name__ == "__main__":
    main()
