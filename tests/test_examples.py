"""Every example runs and says what it promises."""

import subprocess
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[1] / "examples"


def test_quickstart() -> None:
    command = [sys.executable, str(EXAMPLES / "quickstart.py")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, check=True, cwd=EXAMPLES.parent)
    assert "zipllm" in done.stdout.splitlines()[0]
    assert done.stdout.count(" bits  ") == 10
    assert not done.stderr
