"""What the command costs before it works: which modules are imported, and that nothing is said."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.processes import Outcome

ROOT = Path(__file__).parents[2]

SCRIPT = """
import json, sys
from zipllm.cli.app import run
for arguments in json.loads(sys.argv[1]):
    code = run(arguments)
    heavy = {"torch", "numpy", "numba", "tokenizers", "safetensors", "zipllm.codec.encoder", "zipllm.bench"}
    print(code, *arguments, *sorted(heavy & set(sys.modules)), file=sys.stderr)
"""

LIGHT = (
    "--help",
    "--version",
    "compress --help",
    "train --help",
    "list b.zllm",
    "bench --help",
    "data --help",
    "data list",
    "eval --help",
    "model --help",
    "model list",
    "model list --json",
    "model show small",
    "model show small --json",
    "explain --help",
    "generate --help",
    "classify --help",
)


def test_nothing_heavy_is_imported(folder: Path) -> None:
    """By none of these commands, one after the other in a fresh interpreter."""
    command = [sys.executable, "-c", SCRIPT, json.dumps([arguments.split() for arguments in LIGHT])]
    done = subprocess.run(
        command, cwd=folder, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=120, check=True
    )
    assert done.stderr.splitlines() == [f"0 {arguments}" for arguments in LIGHT]


def test_importing_the_package_is_cheap() -> None:
    script = "import sys, zipllm; print({'torch', 'numpy', 'typer', 'rich'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], env={"PYTHONPATH": str(ROOT)}, capture_output=True, timeout=120, check=True
    )
    assert done.stdout == b"set()\n"


def test_version(inside: Callable[..., Outcome]) -> None:
    number = inside("-qV").out.decode().strip()
    lines = inside("--version").out.decode().splitlines()
    assert lines[0] == f"zipllm {number}"
    assert lines[1].startswith("format ")
    assert [line.split()[0] for line in lines[2:]] == ["constriction", "torch", "numpy", "numba"]


def test_version_without_an_installed_package(inside: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib import metadata

    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert "torch is not installed" in inside("-V").out.decode()


@pytest.mark.parametrize(
    "command",
    ["compress", "decompress", "test", "list", "train", "bench", "data", "eval", "model", "explain", "generate"],
)
def test_every_command_explains_itself(inside: Callable[..., Outcome], command: str) -> None:
    done = inside(command, "-h")
    assert (done.code, done.err) == (0, "")
    assert b"Usage: zipllm " + command.encode() in done.out


def test_flags_agree_across_commands(inside: Callable[..., Outcome]) -> None:
    flags = {
        "compress": "-o -c -k -f -r -S -d -T -q -v --rm --model --device --threads --lanes --block-size --embed-model "
        "--no-verify --no-sample --max-output --max-memory --no-progress --json",
        "decompress": "-o -c -k -f -r -S -T -q -v --rm --model --device --threads --max-output --max-memory --json",
        "test": "-f -r -S -T -q -v --model --device --threads --max-output --max-memory --no-progress --json",
        "list": "-f -r -S -q -v --max-output --max-memory --json",
        "eval": "-T -q --device --threads --lanes --block-size --no-progress --json",
    }
    for command, names in flags.items():
        words = set(inside(command, "--help").out.decode().replace(",", " ").split())
        assert set(names.split()) <= words, command
