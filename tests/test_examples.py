"""Every example runs and says what it promises."""

import re
import shlex
import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"
RANDOM_BITS = (EXAMPLES / "decompress_random_bits.md").read_text(encoding="utf-8")


def test_quickstart() -> None:
    command = [sys.executable, str(EXAMPLES / "quickstart.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=True, cwd=EXAMPLES.parent)
    assert "zipllm" in done.stdout.splitlines()[0]
    assert done.stdout.count(" bits  ") == 10
    assert not done.stderr


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
