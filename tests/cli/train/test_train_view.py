"""How a run is shown: lines where nobody watches, a panel with a curve where somebody does."""

import io
from dataclasses import replace

import pytest
from rich.console import Console

from zipllm.cli.train.view import TrainView, curve, report_lines
from zipllm.train.runlog import Report
from zipllm.train.validation import Validation

REPORT = Report(
    step=320,
    progress=0.25,
    tokens=2_500_000,
    seconds=60.0,
    train_bpb=2.125,
    tokens_per_second=41_666.0,
    bytes_per_second=123_456.0,
    rate=1.0,
    rounding=False,
)


def test_a_report_in_one_line() -> None:
    assert report_lines(REPORT) == [
        "step 320   25.0 %  2.50 M tokens  train 2.125 bpb  123.5 KB/s (41,666 tokens/s)  60 s + 3 min left"
    ]


def test_validation_has_a_line_of_its_own() -> None:
    valid = Validation(2.5, {"english": 2.25, "chinese": 3.0})
    lines = report_lines(replace(REPORT, valid=valid, best=2.4, rounding=True))
    assert lines[0].endswith("left, rounding")
    assert lines[1] == "  valid 2.500 bpb (best 2.400)  english 2.250  chinese 3.000"


def test_a_falling_curve_falls() -> None:
    assert curve([4.0, 3.0, 2.0, 1.0], "0123456789") == "4.00 9630 1.00"
    assert curve([2.0], "01") == "2.00 0 2.00"
    assert curve([1.0, 1.0], "01") == "1.00 00 1.00"
    long = curve([float(n) for n in range(1000)], "0123456789", columns=10)
    assert long == "0.00 0123456789 999.00"


def test_the_panel_shows_numbers_curve_and_notes() -> None:
    view = TrainView("zipllm train: toy", 1, live=True)
    view._use_panel = False  # nothing is drawn on the test's own stderr
    for bpb in (4.0, 3.0, 2.0):
        view.report(replace(REPORT, train_bpb=bpb, valid=Validation(bpb, {"a": bpb})))
    view._notes.append("torch.compile: used")
    page = io.StringIO()
    Console(file=page, width=120).print(view._panel())
    text = page.getvalue()
    assert "zipllm train: toy" in text
    assert "torch.compile: used" in text
    assert "train 4.00 █" in text
    assert "valid 4.00 █" in text


@pytest.mark.parametrize(("level", "lines"), [(1, 2), (0, 0), (-1, 0)])
def test_plain_lines_where_nobody_watches(capsys: pytest.CaptureFixture[str], level: int, lines: int) -> None:
    with TrainView("title", level, live=False) as view:
        view.note("a note")
        view.report(REPORT)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("\n") == lines
