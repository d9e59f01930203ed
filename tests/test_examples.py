"""Every example runs and says what it promises."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples"

_TOY = (
    (r"--lines 30000", "--lines 150"),
    (r"--lines 2000", "--lines 20"),
    (r"--minutes 10", "--steps 2"),
    (r"--preset tiny", "--preset nano --vocabulary 300 --compile off"),
)
"""Pattern and replacement: the commands of the page at a size that takes seconds."""
RANDOM_BITS = (EXAMPLES / "decompress_random_bits.md").read_text(encoding="utf-8")


def test_quickstart() -> None:
    command = [sys.executable, str(EXAMPLES / "quickstart.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=True, cwd=EXAMPLES.parent)
    assert "zipllm" in done.stdout.splitlines()[0]
    assert done.stdout.count(" bits  ") == 10
    assert not done.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_train_your_own(tmp_path: Path) -> None:
    commands = [line[2:] for line in (EXAMPLES / "train_your_own.md").read_text().splitlines() if line[:2] == "$ "]
    assert len(commands) == 9
    script = "\n".join(commands)
    for pattern, toy in _TOY:
        script, count = re.subn(pattern, toy, script)
        assert count, f"{pattern} is no longer on the page"
    (tmp_path / "benchmarks").symlink_to(ROOT / "benchmarks")
    done = subprocess.run(
        ["bash", "-e", "-x", "-o", "pipefail", "-c", script],
        cwd=tmp_path,
        env=_environment(tmp_path / "bin"),
        capture_output=True,
        text=True,
        timeout=580,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "identical" in done.stdout.splitlines()
    rows = [json.loads(line) for line in (tmp_path / "shop.jsonl").read_text().splitlines()]
    assert {"zstd:19", "zstd:19/dict=dictionary", "xz:9e", "zipllm:small", "zipllm:shop.safetensors"} <= {
        row["codec"] for row in rows
    }
    assert all(row["verified"] and not row["contaminated"] and row["file"] == "wednesday.log" for row in rows)
    made = json.loads((tmp_path / "shop.train.json").read_text())
    assert made["steps"] == 2
    assert made["model_bytes"] == (tmp_path / "shop.safetensors").stat().st_size


def _environment(folder: Path) -> dict[str, str]:
    """``python`` and ``zipllm`` are the ones under test, wherever they are installed."""
    folder.mkdir()
    for name, words in {"python": "", "zipllm": " -m zipllm"}.items():
        (folder / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{words} "$@"\n')
        (folder / name).chmod(0o755)
    paths = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    return os.environ | paths | {"OMP_NUM_THREADS": "1"}


def block(language: str) -> str:
    """The one block of code of this language on the page."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", RANDOM_BITS, re.DOTALL | re.MULTILINE)
    return found


def test_the_program_about_random_bits_prints_what_the_page_says() -> None:
    command = [sys.executable, "-c", block("python")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=True, cwd=EXAMPLES.parent)
    assert done.stdout == block("text")


def test_the_command_about_random_bits_writes_what_the_page_says() -> None:
    line, _, said = block("console").partition("\n")
    _, *arguments = shlex.split(line.removeprefix("$ "))
    command = [sys.executable, "-m", "zipllm", *arguments]
    done = subprocess.run(command, capture_output=True, timeout=250, check=True, cwd=EXAMPLES.parent)
    assert done.stdout.decode() + "\n" == said
