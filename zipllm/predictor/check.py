"""Is a model file whole, and does this machine compute it rightly?"""

from pathlib import Path

from zipllm.model_file.build import check_reference
from zipllm.model_file.file import load_model_file
from zipllm.model_file.limits import ModelLimits
from zipllm.model_file.summary import naming
from zipllm.predictor.transformer import TransformerPredictor


def check_model_file(path: Path, limits: ModelLimits | None = None) -> tuple[str, ...]:
    """Load a model file as a whole (tensors, id, tokenizer, bounds) and run its self-test.

    Args:
        path: the file.
        limits: for its size.

    Returns:
        Names of the engines that passed the self-test: the reference, and what codes on this machine.

    Raises:
        ModelNotFound: nothing is there.
        ModelInvalid: the file is damaged, or an engine computes other numbers than it records.
        LimitExceeded: larger than ``limits``.
        FileError: it cannot be read.
    """
    model = load_model_file(path, limits)
    with naming(path):
        check_reference(model)
        return "reference", TransformerPredictor(model).network.name
