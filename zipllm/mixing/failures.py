"""Negative results of compiled code, which raises nothing itself, and the errors they stand for."""

from zipllm.errors import CorruptData

BROKEN, DAMAGED, OVERRUN = -1, -2, -3


def check(result: float) -> None:
    """Raise the error that a negative result stands for.

    Raises:
        CorruptData: coded words are impossible, or a token goes past its lane's end.
        ValueError: frequencies do not ascend.
    """
    if result == BROKEN:
        raise ValueError("cumulative frequencies are not strictly ascending: the predictor is broken")
    if result == DAMAGED:
        raise CorruptData("coded words are impossible: the payload is damaged")
    if result == OVERRUN:
        raise CorruptData("the payload of a block decodes to a token that overruns its lane")
