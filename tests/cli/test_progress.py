"""The progress bar, drawn on a terminal that is a string."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from tests.cli.processes import Outcome
from zipllm.cli import bars
from zipllm.cli.bars import file_bar
from zipllm.files import signals
from zipllm.files.names import escape_name
from zipllm.progress import Progress


def draw(name: str, total: int | None, *steps: Progress, width: int = 120, delay: float = 0) -> str:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=width, color_system=None)
    bars.DELAY_SECONDS = delay
    with file_bar(name, total, console) as advance:
        for step in steps:
            advance(step)
    return screen.getvalue()


@pytest.fixture(autouse=True)
def _delay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bars, "DELAY_SECONDS", 0)


HALF = Progress("encode", 500_000.0, 400_000, 100_000)


def test_bar_shows_position_speed_and_bits() -> None:
    shown = draw("file.txt", 1_000_000, HALF)
    assert "file.txt" in shown
    assert "488 KiB of 977 KiB" in shown
    assert "B/s" in shown
    assert "2.000 bpb" in shown


def test_bar_stays_on_one_line() -> None:
    shown = draw("file.txt", 1_000_000, HALF, width=80)
    assert "\n\n" not in shown
    assert all("bpb" in line for line in shown.replace("\r", "\n").splitlines() if "of 977" in line and "488" in line)


def test_bar_without_a_known_end() -> None:
    shown = draw("stdin", None, Progress("encode", 5000.0, 0, 0))
    assert "4.88 KiB" in shown
    assert " of " not in shown
    assert "bpb" not in shown


@pytest.mark.parametrize("name", ["[b]x[/red]", "line\nbreak", "raw\udcff", "\x1b[31mred"])
def test_names_are_plain_text(name: str) -> None:
    shown = draw(name, 10, Progress("decode", 5.0, 0, 0))
    assert escape_name(name) in shown


def test_long_names_keep_their_end() -> None:
    shown = draw("a-very-long-name" * 5 + ".txt", 10, Progress("decode", 5.0, 0, 0))
    assert "…" in shown
    assert "name.txt" in shown


def test_a_quick_file_gets_no_bar() -> None:
    assert "file" not in draw("file", 10, Progress("decode", 5.0, 0, 0), delay=60)


def test_bar_is_wiped_and_the_cursor_shown_after_an_error() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80)
    with pytest.raises(KeyError), file_bar("file", 10, console) as advance:
        advance(Progress("decode", 5.0, 0, 0))
        raise KeyError
    assert screen.getvalue().count("\x1b[?25l") == screen.getvalue().count("\x1b[?25h") == 1
    assert signals._before_exit == [], "a later signal does not stop this bar again"


def test_no_bar_without_a_terminal(inside: Callable[..., Outcome], folder: Path) -> None:
    inside("test", "b.zllm")
    assert inside("test", "b.zllm").err == "b.zllm : 5000 bytes, whole\n"
    assert not sys.stderr.isatty()
