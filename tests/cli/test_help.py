"""``--help``: what it shows, at every width and in every encoding."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.processes import Outcome

ROOT = Path(__file__).parents[2]
COMMANDS = [
    "compress",
    "decompress",
    "test",
    "list",
    "train",
    "bench",
    "eval",
    "explain",
    "generate",
    "experiment",
    "classify",
]
GROUPS = ["data", "data list", "data fetch", "model", "model list", "model import"]
Inside = Callable[..., Outcome]


@pytest.mark.parametrize("command", [*COMMANDS, *GROUPS, ""])
@pytest.mark.parametrize("columns", [40, 80, 200])
def test_help_fits_the_terminal(inside: Inside, monkeypatch: pytest.MonkeyPatch, command: str, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = inside(*command.split(), "--help").out.decode("ascii")
    shown = text.partition("Examples:")[0]
    assert max(map(len, shown.splitlines())) < columns
    assert "<" not in shown.replace("<-", ""), "types of Python"
    assert "x>=" not in shown


@pytest.mark.parametrize("command", COMMANDS)
def test_help_ends_with_examples(inside: Inside, command: str) -> None:
    examples = inside(command, "--help").out.decode().partition("Examples:\n")[2].splitlines()
    assert examples
    assert all(line.startswith("  $ ") and f"zipllm {command}" in line for line in examples)


def test_help_says_what_a_flag_takes(inside: Inside) -> None:
    lines = [" ".join(line.split()) for line in inside("train", "--help").out.decode().splitlines()]
    assert any(line.startswith("--minutes N Training time") for line in lines)
    assert any(line.startswith("--device auto|cpu|cuda Where") and line.endswith("(default: auto)") for line in lines)


def test_help_needs_no_unicode() -> None:
    command = [sys.executable, "-m", "zipllm", "compress", "--help"]
    environment = {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii", "COLUMNS": "60"}
    done = subprocess.run(command, env=environment, capture_output=True, timeout=120, check=True)
    assert b"\\u" not in done.stdout
    assert done.stdout.isascii()
