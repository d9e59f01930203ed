"""Checks that a model file is intact and computed correctly on this machine."""

from pathlib import Path

from zipllm.model_file.file import check_reference, load_model_file
from zipllm.model_file.limits import ModelLimits
from zipllm.model_file.summary import naming
from zipllm.predictor.model import ModelPredictor


def check_model_file(path: Path, limits: ModelLimits | None = None) -> tuple[str, ...]:
    """Load all of a model file (tensors, id, tokenizer, bounds) and run its self-test.

    Returns:
        Names of the networks that passed the self-test: the reference, and the one that codes on this machine.

    Raises:
        ModelNotFound: the file does not exist.
        ModelInvalid: the file is damaged, or a network computes other numbers than it records.
        LimitExceeded: larger than ``limits``.
        FileError: it cannot be read.
    """
    model = load_model_file(path, limits)
    with naming(path):
        check_reference(model)
        return "reference", ModelPredictor(model).network.name
