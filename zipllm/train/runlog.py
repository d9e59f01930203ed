"""The log of a run: ``metrics.jsonl``, and TensorBoard event files on request."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from zipllm.errors import FileError, file_errors, import_extra
from zipllm.temporary import replacing
from zipllm.train.validation import Validation


@dataclass(frozen=True)
class Report:
    """The numbers of the steps since the last report; ``step``, ``tokens``, ``seconds`` as in `TrainState`.

    Attributes:
        progress: fraction of the budget used.
        bytes_per_second: of raw training data.
        rate: learning-rate factor of the last step, 0 to 1.
        valid: bits per byte of the validation data; None between evaluations.
        best: the lowest of them so far.
    """

    step: int
    progress: float
    tokens: int
    seconds: float
    train_bpb: float
    tokens_per_second: float
    bytes_per_second: float
    rate: float
    rounding: bool
    valid: Validation | None = None
    best: float | None = None

    @property
    def seconds_left(self) -> float:
        """Estimated time to the end of the budget."""
        return self.seconds * (1 - self.progress) / self.progress if self.progress else 0.0

    def to_dict(self) -> dict[str, Any]:
        """Flat JSON-able form: ``valid_bpb`` over all sources, ``valid_bpb_by_source``, and the other fields."""
        flat = {name: value for name, value in asdict(self).items() if name != "valid"}
        if self.valid is not None:
            flat |= {"valid_bpb": self.valid.total, "valid_bpb_by_source": self.valid.by_source}
        return flat


class RunLog:
    """Appends reports to ``run/metrics.jsonl`` and, with ``tensorboard``, to event files in ``run/tensorboard``.

    Reports of an earlier process that are later than ``step``, where the run goes on, are dropped.
    """

    def __init__(self, run: Path, step: int = 0, *, tensorboard: bool = False) -> None:
        self.path = run / "metrics.jsonl"
        self._board = board_writer()(str(run / "tensorboard"), purge_step=step + 1) if tensorboard else None
        if self.path.exists():
            with file_errors(self.path), replacing(self.path) as (sink, _):
                sink.writelines(line for line in self.path.read_bytes().splitlines(True) if _step(line) <= step)

    def write(self, report: Report) -> None:
        """Append one report. Raises ``FileError``."""
        try:
            with self.path.open("a", encoding="utf-8") as log:
                log.write(json.dumps(report.to_dict()) + "\n")
        except OSError as error:
            raise FileError(f"cannot write {self.path}: {error.strerror or error}") from error
        if self._board is not None:
            _write_board(self._board, report)

    def close(self) -> None:
        """Flush what TensorBoard still holds back."""
        if self._board is not None:
            self._board.close()


def _step(line: bytes) -> float:
    try:
        return int(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf  # cut off by a kill


def _write_board(board: Any, report: Report) -> None:
    numbers = {
        "bpb/train": report.train_bpb,
        "speed/tokens per second": report.tokens_per_second,
        "rate": report.rate,
    }
    if report.valid is not None:
        numbers["bpb/valid"] = report.valid.total
        numbers |= {f"valid/{name}": bpb for name, bpb in report.valid.by_source.items()}
    for name, value in numbers.items():
        board.add_scalar(name, value, report.step)


def board_writer() -> Any:
    """Return TensorBoard's writer class. Raises ``MissingPackage`` if it is not installed."""
    absent = "--tensorboard needs TensorBoard: pip install 'zipllm[train]'"
    return import_extra("torch.utils.tensorboard", absent).SummaryWriter
