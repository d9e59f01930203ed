"""What a run writes down: JSON lines always, TensorBoard's files when it is there."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from zipllm.errors import FileError, MissingPackage
from zipllm.train import runlog
from zipllm.train.runlog import Report, RunLog
from zipllm.train.validation import Validation

REPORT = Report(16, 0.5, 1000, 2.0, 3.0, 500.0, 1500.0, 1.0, False, Validation(2.5, {"a": 2.0, "b": 3.0}), 2.5)


def test_one_flat_object_a_line(tmp_path: Path) -> None:
    log = RunLog(tmp_path)
    log.write(REPORT)
    log.write(REPORT)
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines[0] == lines[1]
    assert lines[0]["valid_bpb"] == 2.5
    assert lines[0]["valid_bpb_by_source"] == {"a": 2.0, "b": 3.0}
    assert (lines[0]["step"], lines[0]["best"]) == (16, 2.5)


def test_a_log_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="metrics.jsonl"):
        RunLog(tmp_path / "missing").write(REPORT)


def test_without_tensorboard_the_extra_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(MissingPackage, match=r"pip install 'zipllm\[train\]'"):
        RunLog(tmp_path, tensorboard=True)


def test_numbers_go_to_tensorboard_under_their_names(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    written: dict[str, tuple[float, int]] = {}

    class Writer:
        def __init__(self, folder: str, purge_step: int) -> None:
            assert (folder, purge_step) == (str(tmp_path / "tensorboard"), 1)

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written[name] = (value, step)

        def close(self) -> None:
            written["closed"] = (1.0, 0)

    def writer() -> Any:
        return Writer

    monkeypatch.setattr(runlog, "board_writer", writer)
    log = RunLog(tmp_path, tensorboard=True)
    log.write(REPORT)
    log.close()
    assert written["bpb/valid"] == (2.5, 16)
    assert written["valid/b"] == (3.0, 16)
    assert "closed" in written
